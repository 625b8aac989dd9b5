import { expect, test } from "vitest";
import { decide, decideProbe, triggerOf } from "./decision.ts";
import { DEFAULT_RETRY_SCHEDULE } from "./retry-schedule.ts";

const failed = { kind: "retryable", retryAfterMs: undefined } as const;

test("the default schedule makes six requests: at once, then after 2, 4, 8, 16 and 32 s", () => {
  const moves = [0, 1, 2, 3, 4, 5].map((step) => decide(failed, step, DEFAULT_RETRY_SCHEDULE, 0));
  expect(moves).toEqual([
    { state: "retrying", delayMs: 2_000 },
    { state: "retrying", delayMs: 4_000 },
    { state: "retrying", delayMs: 8_000 },
    { state: "retrying", delayMs: 16_000 },
    { state: "retrying", delayMs: 32_000 },
    { state: "dead", reason: "exhausted" },
  ]);
});

test("an empty schedule means one request", () => {
  expect(decide(failed, 0, [], 0)).toEqual({ state: "dead", reason: "exhausted" });
});

test("a success is delivered; gone and blocked are dead immediately with their reason", () => {
  expect(decide({ kind: "delivered" }, 5, DEFAULT_RETRY_SCHEDULE, 0)).toEqual({ state: "delivered" });
  expect(decide({ kind: "gone" }, 0, DEFAULT_RETRY_SCHEDULE, 0)).toEqual({ state: "dead", reason: "gone" });
  expect(decide({ kind: "blocked" }, 0, DEFAULT_RETRY_SCHEDULE, 0)).toEqual({ state: "dead", reason: "blocked" });
});

test("Retry-After lengthens the next step and does not shorten it", () => {
  const decideAfter = (retryAfterMs: number) =>
    decide({ kind: "retryable", retryAfterMs }, 0, DEFAULT_RETRY_SCHEDULE, 0);
  expect(decideAfter(60_000)).toEqual({ state: "retrying", delayMs: 60_000 });
  expect(decideAfter(1)).toEqual({ state: "retrying", delayMs: 2_000 });
});

test("the first attempt of a manual retry has the trigger manual, the following ones have auto", () => {
  expect(triggerOf(0, 0)).toBe("auto");
  expect(triggerOf(0, 3)).toBe("auto");
  expect(triggerOf(1, 0)).toBe("manual");
  expect(triggerOf(1, 1)).toBe("auto");
});

test("a failed probe leaves its delivery held; any other outcome is decided as for every attempt", () => {
  expect(decideProbe(failed)).toEqual({ state: "held", reason: "breaker" });
  expect(decideProbe({ kind: "delivered" })).toEqual({ state: "delivered" });
  expect(decideProbe({ kind: "gone" })).toEqual({ state: "dead", reason: "gone" });
  expect(decideProbe({ kind: "blocked" })).toEqual({ state: "dead", reason: "blocked" });
});
