import { expect, test } from "vitest";
import { HealthThrottle, type HealthOnRow } from "./health-throttle.ts";

const MINUTE_MS = 60_000;

const row = (minutesAgo: number | null, over: Partial<HealthOnRow> = {}): HealthOnRow => ({
  id: "a",
  lastSuccessAt: minutesAgo === null ? null : -minutesAgo * MINUTE_MS,
  hasFailedSince: false,
  isFailing: false,
  ...over,
});
const admits = (throttle: HealthThrottle, now: number, onRow: HealthOnRow) => throttle.admitsSuccess(onRow, now);

test("a success is written where the row has none, one older than ten minutes, a later failure or an outage", () => {
  expect(admits(new HealthThrottle(), 0, row(null))).toBe(true);
  expect(admits(new HealthThrottle(), 0, row(11))).toBe(true);
  expect(admits(new HealthThrottle(), 0, row(1, { hasFailedSince: true }))).toBe(true);
  expect(admits(new HealthThrottle(), 0, row(1, { isFailing: true }))).toBe(true);
  expect(admits(new HealthThrottle(), 0, row(9))).toBe(false);
});

test("successes of deliveries that were loaded together are written once", () => {
  const throttle = new HealthThrottle();
  expect([0, 1, 9_999].map((now) => admits(throttle, now, row(null)))).toEqual([true, false, false]);
});

test("the first success after a failure is written, however new the last one is", () => {
  const throttle = new HealthThrottle();
  expect(admits(throttle, 0, row(null))).toBe(true);
  expect(throttle.admitsFailure("a", 1)).toBe(true);
  expect(admits(throttle, 2, row(0))).toBe(true);
  expect(admits(throttle, 3, row(0))).toBe(false);
});

test("the first failure is written, and then one in ten seconds until a success", () => {
  const throttle = new HealthThrottle();
  const failures = [0, 1, 9_999, 10_000, 10_001].map((now) => throttle.admitsFailure("a", now));
  expect(failures).toEqual([true, false, false, true, false]);
  throttle.noteSuccess("a", 10_002);
  expect(throttle.admitsFailure("a", 10_003)).toBe(true);
  expect(throttle.admitsFailure("b", 10_003)).toBe(true);
});

test("an outcome whose write was lost is written again with the next one", () => {
  const throttle = new HealthThrottle();
  throttle.admitsFailure("a", 0);
  throttle.forget("a");
  expect(throttle.admitsFailure("a", 1)).toBe(true);
});
