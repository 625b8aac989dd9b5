import { expect, test } from "vitest";
import {
  ageCorrelation,
  busiestSecond,
  firstReceipts,
  latencies,
  olderFirstShare,
  ramp,
  ratePerSecond,
} from "./receipts.ts";

test("a rate counts the receipts after the warm-up, until the last one or until the deadline", () => {
  const times = [0, 900, 1_000, 1_500, 2_000, 3_000];
  expect(ratePerSecond(times, 2)).toBe(1.5);
  expect(ratePerSecond(times, 2, 4_000)).toBe(1);
  expect(ratePerSecond([], 0)).toBe(0);
  expect(ratePerSecond([5], 0)).toBe(0);
});

test("the busiest second slides, and its end is not part of it", () => {
  expect(busiestSecond([0, 600, 900, 1_100, 1_599, 1_600, 3_000])).toBe(4);
  expect(busiestSecond([])).toBe(0);
});

test("the ramp counts second by second from the first receipt", () => {
  expect(ramp([5_000, 5_999, 6_000, 7_500, 9_000], 3)).toEqual([2, 1, 1]);
});

test("an event received twice counts when it came first", () => {
  const received = { kind: "received" as const, ids: ["b", "a", "b"], times: [1, 2, 3] };
  expect([...firstReceipts(received)]).toEqual([
    ["b", 1],
    ["a", 2],
  ]);
});

test("oldest first correlates fully, newest first inversely", () => {
  expect(ageCorrelation(["a", "b", "c", "d"])).toBe(1);
  expect(ageCorrelation(["d", "c", "b", "a"])).toBe(-1);
  expect(ageCorrelation(["b", "a", "c", "d"])).toBeCloseTo(0.8);
  expect(olderFirstShare(["b", "a", "c", "d"])).toBeCloseTo(2 / 3);
});

test("an event that never came counts with the time that it was waited for", () => {
  const offered = {
    kind: "offered" as const, durationMs: 0, accepted: 4, refused: 0,
    ids: ["warm-up", "came", "missing", "other"], targets: [1, 1, 1, 2], sentTimes: [0, 100, 200, 300], acceptedTimes: [10, 120, 220, 320],
  }; // prettier-ignore
  const received = new Map([
    ["warm-up", 5],
    ["came", 150],
  ]);
  expect(latencies(offered, received, (sentAt, target) => sentAt >= 100 && target === 1, 1_200)).toEqual({
    fromPost: [50, 1_000],
    fromAccepted: [30, 980],
    missing: 1,
  });
});
