import { expect, test } from "vitest";
import { INITIAL_WINDOW, maxWindow, nextWindow } from "./release-window.ts";

const completed = (count: number) => ({ completed: count, reheld: 0, failures: 0 });

test("the window doubles with each round that completes, up to its maximum", () => {
  const windows = [INITIAL_WINDOW];
  for (let round = 0; round < 6; round += 1) windows.push(nextWindow(windows.at(-1)!, completed(windows.at(-1)!), 20));
  expect(windows).toEqual([1, 2, 4, 8, 16, 20, 20]);
});

test("the window is unchanged while the subscriber fails or no delivery completes", () => {
  expect(nextWindow(8, { completed: 4, reheld: 0, failures: 1 }, 20)).toBe(8);
  expect(nextWindow(8, completed(0), 20)).toBe(8);
});

test("the window halves when deliveries are held again, and never below one", () => {
  expect(nextWindow(9, { completed: 3, reheld: 1, failures: 0 }, 20)).toBe(4);
  expect(nextWindow(1, { completed: 0, reheld: 1, failures: 0 }, 20)).toBe(1);
});

test("a lowered limit applies immediately", () => {
  expect(nextWindow(64, completed(0), 20)).toBe(20);
  expect(nextWindow(64, { completed: 1, reheld: 0, failures: 2 }, 20)).toBe(20);
  expect(nextWindow(64, { completed: 0, reheld: 1, failures: 0 }, 20)).toBe(20);
});

test("the largest window is 0.8 s of the rate limit, or four times maxInFlight without one", () => {
  expect(maxWindow(50, 32)).toBe(40);
  expect(maxWindow(1, 32)).toBe(1);
  expect(maxWindow(null, 32)).toBe(128);
});
