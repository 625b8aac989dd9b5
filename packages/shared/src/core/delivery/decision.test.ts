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

test("success delivers, gone and blocked are dead at once with their reason", () => {
  expect(decide({ kind: "delivered" }, 5, DEFAULT_RETRY_SCHEDULE, 0)).toEqual({ state: "delivered" });
  expect(decide({ kind: "gone" }, 0, DEFAULT_RETRY_SCHEDULE, 0)).toEqual({ state: "dead", reason: "gone" });
  expect(decide({ kind: "blocked" }, 0, DEFAULT_RETRY_SCHEDULE, 0)).toEqual({ state: "dead", reason: "blocked" });
});

test("Retry-After lengthens the next step and does not shorten it", () => {
  expect(decide({ kind: "retryable", retryAfterMs: 60_000 }, 0, DEFAULT_RETRY_SCHEDULE, 0)).toEqual({ state: "retrying", delayMs: 60_000 }); // prettier-ignore
  expect(decide({ kind: "retryable", retryAfterMs: 1 }, 0, DEFAULT_RETRY_SCHEDULE, 0)).toEqual({ state: "retrying", delayMs: 2_000 }); // prettier-ignore
});

test("the first attempt of a cycle that a person began is theirs, the following ones are the schedule's", () => {
  expect(triggerOf(0, 0)).toBe("auto");
  expect(triggerOf(0, 3)).toBe("auto");
  expect(triggerOf(1, 0)).toBe("manual");
  expect(triggerOf(1, 1)).toBe("auto");
});

test("a probe that fails leaves its delivery held; any other end is as of every attempt", () => {
  expect(decideProbe(failed)).toEqual({ state: "held", reason: "breaker" });
  expect(decideProbe({ kind: "delivered" })).toEqual({ state: "delivered" });
  expect(decideProbe({ kind: "gone" })).toEqual({ state: "dead", reason: "gone" });
  expect(decideProbe({ kind: "blocked" })).toEqual({ state: "dead", reason: "blocked" });
});
