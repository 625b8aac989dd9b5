import { expect, test } from "vitest";
import { afterAnswer, afterTimeout, FIRST_WINDOW, type TrialWindow } from "./trial-window.ts";

const MAX = 32;
const MINUTE = 60_000;

/** The window after a number of successes that took this long. */
const answered = (window: TrialWindow, times: number, tookMs: number, now = 0): TrialWindow =>
  times === 0 ? window : answered(afterAnswer(window, { tookMs, isSuccess: true }, MAX, now), times - 1, tookMs, now);
const sizes = (window: TrialWindow, times: number, tookMs: number): number[] =>
  Array.from({ length: times }, (_, index) => answered(window, index + 1, tookMs).size);

test("a window begins with one request, and every answer doubles it up to maxInFlight, however long answers take", () => {
  expect(FIRST_WINDOW.size).toBe(1);
  expect(sizes(FIRST_WINDOW, 7, 20)).toEqual([2, 4, 8, 16, 32, 32, 32]);
  expect(sizes(FIRST_WINDOW, 5, 9_000)).toEqual([2, 4, 8, 16, 32]);
});

test("an answer that takes longer than before adds one request per round", () => {
  const window = answered(FIRST_WINDOW, 2, 500);
  expect(window.size).toBe(4);
  expect(answered(window, 1, 800).size).toBeCloseTo(4.25);
  expect(answered(window, 4, 800).size).toBeCloseTo(4.94, 1);
});

test("a timeout halves the window once for all requests that were under way, and never below one", () => {
  const halved = afterTimeout(answered(FIRST_WINDOW, 4, 500), 1_000, 16_000);
  expect(halved.size).toBe(8);
  expect(afterTimeout(halved, 2_000, 17_000)).toBe(halved);
  expect(afterTimeout(halved, 16_000, 31_000).size).toBe(4);
  expect(afterTimeout(FIRST_WINDOW, 0, 15_000).size).toBe(1);
});

test("after a timeout only answers as quick as before make the window grow, by one per round, for a quarter of an hour", () => {
  const halved = afterTimeout(answered(FIRST_WINDOW, 3, 500), 0, 15_000);
  expect(answered(halved, 20, 900, 16_000).size).toBe(4);
  expect(answered(halved, 1, 500, 16_000).size).toBeCloseTo(4.25);
  expect(answered(halved, 8, 900, 16 * MINUTE).size).toBeGreaterThan(5);
});

test("a single quick success does not stop a slow receiver for ever", () => {
  const halved = afterTimeout(answered(answered(FIRST_WINDOW, 3, 2_000), 1, 900), 0, 15_000);
  expect(answered(halved, 10, 2_000).size).toBe(halved.size);
  expect(answered(halved, 400, 2_000).size).toBeGreaterThan(halved.size);
});

test("a refusal that comes quickly is not what later answers are compared with", () => {
  const window = afterAnswer(answered(FIRST_WINDOW, 1, 2_000), { tookMs: 5, isSuccess: false }, MAX, 0);
  expect(answered(window, 1, 2_000).size).toBe(8);
});
