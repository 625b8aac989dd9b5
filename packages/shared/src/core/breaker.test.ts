import { expect, test } from "vitest";
import { CLOSED_BREAKER, reduceBreaker, type Breaker, type BreakerEvent } from "./breaker.ts";

const policy = { threshold: 5, cooldownMs: 60_000 };
const NOW = 1_000_000;

const success = ({ generation }: Breaker, agoMs = 10): BreakerEvent => ({ kind: "success", generation, agoMs });
const failure = ({ generation }: Breaker, isProbe = false, retryAfterMs = 0): BreakerEvent => ({
  kind: "failure",
  generation,
  agoMs: 5,
  isProbe,
  retryAfterMs,
});
const probe: BreakerEvent = { kind: "probe", leaseMs: 15_000 };

const after = (breaker: Breaker, event: BreakerEvent, now = NOW) => reduceBreaker(breaker, event, now, policy);
const failing = (times: number, from = CLOSED_BREAKER): Breaker =>
  times === 0 ? from : failing(times - 1, after(from, failure(from)));

const OPEN = failing(5);
const HALF_OPEN = after(OPEN, probe, OPEN.until);

test("the fifth failure in a row opens the breaker for a cooldown, and the fourth does not", () => {
  expect(failing(4)).toMatchObject({ state: "closed", failures: 4, generation: 0 });
  expect(OPEN).toEqual({ state: "open", failures: 5, generation: 1, until: NOW + 60_000, failedAt: NOW - 5 });
});

test("a success in between restarts the count", () => {
  const interrupted = after(failing(4), success(CLOSED_BREAKER));
  expect(failing(4, interrupted).state).toBe("closed");
  expect(failing(5, interrupted).state).toBe("open");
});

test("a Retry-After longer than the cooldown extends the cooldown, and a shorter one does not", () => {
  const four = failing(4);
  expect(after(four, failure(four, false, 90_000)).until).toBe(NOW + 90_000);
  expect(after(four, failure(four, false, 1_000)).until).toBe(NOW + 60_000);
});

test("a probe is granted once per cooldown, and not before its end", () => {
  expect(after(OPEN, probe, OPEN.until - 1)).toBe(OPEN);
  expect(HALF_OPEN).toMatchObject({ state: "half_open", until: OPEN.until + 15_000 });
  expect(after(HALF_OPEN, probe, HALF_OPEN.until - 1)).toBe(HALF_OPEN);
  expect(after(CLOSED_BREAKER, probe)).toBe(CLOSED_BREAKER);
});

test("after its lease a lost probe is granted again, and the late response of the first one is ignored", () => {
  const second = after(HALF_OPEN, probe, HALF_OPEN.until);
  expect(second).toMatchObject({ state: "half_open", generation: HALF_OPEN.generation + 1 });
  expect(after(second, failure(HALF_OPEN, true))).toBe(second);
});

test("a successful probe closes the breaker, and a failed one opens it for another cooldown", () => {
  expect(after(HALF_OPEN, success(HALF_OPEN))).toMatchObject({ state: "closed", failures: 0, until: 0 });
  const again = after(HALF_OPEN, failure(HALF_OPEN, true), NOW + 70_000);
  expect(again).toMatchObject({ state: "open", failures: 6, until: NOW + 130_000 });
});

test("responses to requests sent before a transition change nothing", () => {
  const closed = after(HALF_OPEN, success(HALF_OPEN));
  for (const stale of [CLOSED_BREAKER, OPEN, HALF_OPEN]) {
    expect(after(closed, failure(stale))).toBe(closed);
    expect(after(closed, success(stale))).toBe(closed);
  }
  expect(after(OPEN, success(CLOSED_BREAKER))).toBe(OPEN);
  expect(after(HALF_OPEN, failure(OPEN))).toBe(HALF_OPEN);
});

test("a success whose request started no earlier than the last failure's closes the breaker", () => {
  const [first, last] = [failing(4), { ...failing(4), failedAt: NOW + 50 }];
  expect(after(after(first, failure(first), NOW + 60), success(CLOSED_BREAKER, 45), NOW + 100)).toMatchObject({
    state: "closed",
    failures: 0,
    generation: 2,
    until: 0,
    failedAt: 0,
  });
  const open = after(last, failure(last), NOW + 20);
  expect(open).toMatchObject({ state: "open", failedAt: NOW + 50 });
  expect(after(open, success(CLOSED_BREAKER, 51), NOW + 100)).toBe(open);
  expect(after(open, success(CLOSED_BREAKER, 50), NOW + 100).state).toBe("closed");
  // After a probe is sent, only its response counts.
  const halfOpen = after(open, probe, open.until);
  expect(after(halfOpen, success(CLOSED_BREAKER, 0), open.until)).toBe(halfOpen);
});

test("no success supersedes a Retry-After that is longer than the cooldown", () => {
  const asking = (retryAfterMs: number) => after(failing(4), failure(failing(4), false, retryAfterMs), NOW);
  expect(after(asking(120_000), success(CLOSED_BREAKER, 0), NOW + 100)).toMatchObject({
    state: "open",
    until: NOW + 120_000,
  });
  expect(after(asking(60_000), success(CLOSED_BREAKER, 0), NOW + 100).state).toBe("closed");
});

test("a successful manual attempt closes an open breaker, and a failed one changes nothing", () => {
  expect(after(OPEN, success(OPEN)).state).toBe("closed");
  expect(after(OPEN, failure(OPEN))).toBe(OPEN);
  expect(after(HALF_OPEN, failure(HALF_OPEN))).toBe(HALF_OPEN);
});

test("a reset closes the breaker, and responses to requests under way are ignored", () => {
  const reset = after(OPEN, { kind: "reset" });
  expect(reset).toMatchObject({ state: "closed", failures: 0 });
  expect(after(reset, failure(OPEN))).toBe(reset);
  expect(after(CLOSED_BREAKER, { kind: "reset" })).toBe(CLOSED_BREAKER);
});
