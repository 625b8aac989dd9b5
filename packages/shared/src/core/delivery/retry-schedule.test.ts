import fc from "fast-check";
import { expect, test } from "vitest";
import { DEFAULT_RETRY_SCHEDULE, nextRetryDelay, parseRetrySchedule } from "./retry-schedule.ts";

test("jitter adds 0 to 10 % and never shortens", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 0.999, noNaN: true }), fc.integer({ min: 1, max: 5 }), (random, step) => {
      const delay = nextRetryDelay(DEFAULT_RETRY_SCHEDULE, step, random)!;
      const plain = DEFAULT_RETRY_SCHEDULE[step - 1]!;
      expect(delay).toBeGreaterThanOrEqual(plain);
      expect(delay).toBeLessThanOrEqual(plain * 1.1);
    }),
  );
});

test("Retry-After only lengthens, up to an hour", () => {
  expect(nextRetryDelay([2_000], 1, 0, 1_000)).toBe(2_000);
  expect(nextRetryDelay([2_000], 1, 0, 10_000)).toBe(10_000);
  expect(nextRetryDelay([2_000], 1, 0, 86_400_000)).toBe(3_600_000);
  expect(nextRetryDelay([7_200_000], 1, 0, 86_400_000)).toBe(7_200_000);
});

test("Retry-After never shortens, and never waits longer than an hour or the schedule's own delay", () => {
  const delay = fc.integer({ min: 0, max: 7 * 86_400_000 });
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(delay, random, fc.integer({ min: 0, max: 1e12 }), (delay, random, retryAfter) => {
      const without = nextRetryDelay([delay], 1, random)!;
      const asked = nextRetryDelay([delay], 1, random, retryAfter)!;
      expect(asked).toBeGreaterThanOrEqual(without);
      expect(asked).toBeGreaterThanOrEqual(Math.min(retryAfter, 3_600_000));
      expect(asked).toBeLessThanOrEqual(Math.max(without, 3_600_000));
    }),
  );
});

test("Retry-After adds no retry to an exhausted schedule", () => {
  expect(nextRetryDelay([2_000], 2, 0, 60_000)).toBeUndefined();
});

test("an exhausted schedule has no next delay", () => {
  expect(nextRetryDelay(DEFAULT_RETRY_SCHEDULE, 6, 0)).toBeUndefined();
  expect(nextRetryDelay([], 1, 0)).toBeUndefined();
});

test("schedules are parsed from durations or a preset, and an error names the invalid entry", () => {
  expect(parseRetrySchedule(["250ms", "2s", "5m", "1h"])).toEqual([250, 2_000, 300_000, 3_600_000]);
  expect(parseRetrySchedule([])).toEqual([]);
  expect(parseRetrySchedule("standard")).toHaveLength(9);
  expect(parseRetrySchedule("fast")).toHaveProperty("problem");
  expect(parseRetrySchedule(["2s", "-1s"])).toEqual({ problem: expect.stringContaining('"-1s"') });
  expect(parseRetrySchedule(["8d"])).toHaveProperty("problem");
  expect(parseRetrySchedule(Array.from({ length: 51 }, () => "1s"))).toHaveProperty("problem");
});
