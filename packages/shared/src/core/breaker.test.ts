import { describe, expect, test } from "vitest";
import { CLOSED_BREAKER, reduceBreaker, type Breaker, type BreakerEvent } from "./breaker.ts";

const policy = { threshold: 5, recentSuccessMs: 10_000, cooldownMs: 60_000 };
const NOW = 1_000_000;

type Failure = Extract<BreakerEvent, { kind: "failure" }>;
const failure = (over: Partial<Failure> = {}): Failure => ({
  kind: "failure",
  sentAgoMs: 5,
  isProbe: false,
  lastSuccessAgoMs: undefined,
  refused: undefined,
  retryAfterMs: 0,
  ...over,
});
const success = (sentAgoMs = 10, agoMs = 0): BreakerEvent => ({ kind: "success", sentAgoMs, agoMs });
const probe: BreakerEvent = { kind: "probe", leaseMs: 15_000 };

const after = (breaker: Breaker, event: BreakerEvent, now = NOW) => reduceBreaker(breaker, event, now, policy);
const failing = (times: number, from: Breaker = CLOSED_BREAKER, over: Partial<Failure> = {}): Breaker =>
  times === 0 ? from : failing(times - 1, after(from, failure(over)), over);

const OPEN = failing(5);
const HALF_OPEN = after(OPEN, probe, OPEN.until);

describe("opening", () => {
  test("the fifth failure in a row of a receiver that never succeeded opens it, and the fourth does not", () => {
    expect(failing(4)).toMatchObject({ state: "closed", failures: 4 });
    expect(OPEN).toMatchObject({ state: "open", failures: 5, until: NOW + 60_000 });
  });

  test("a receiver that succeeded within ten seconds is flaky and not dead: it stays closed", () => {
    const recent = failing(50, CLOSED_BREAKER, { lastSuccessAgoMs: 9_999 });
    expect(recent.state).toBe("closed");
    expect(after(recent, failure({ lastSuccessAgoMs: 12_000 }), NOW + 2_000).state).toBe("open");
  });

  test("the newest success that any worker has seen counts", () => {
    const seen = after(CLOSED_BREAKER, failure({ lastSuccessAgoMs: 100 }));
    expect(failing(10, seen).state).toBe("closed");
  });

  test("a success between failures ends the row", () => {
    const interrupted = after(failing(4), success(), NOW + 1);
    expect(interrupted.failures).toBe(0);
    expect(after(failing(4), success(10, 1), NOW + 2).failures).toBe(0);
    const unreported = after(failing(4), failure({ lastSuccessAgoMs: 0 }), NOW + 20_000);
    expect(unreported.failures).toBe(1);
  });

  test("a success that is reported late leaves the failures since then, and still counts as recent", () => {
    const late = after(failing(4), success(900, 800), NOW + 300);
    expect(late).toMatchObject({ failures: 4, lastSuccessAt: NOW - 500 });
    expect(failing(1, late)).toMatchObject({ failures: 5, state: "closed" });
    expect(after(OPEN, success(270_000, 270_000), NOW + 1)).toMatchObject({ state: "open", failures: 5 });
  });

  test("a payload that is refused again and again counts once, each other one counts", () => {
    expect(failing(20, CLOSED_BREAKER, { refused: "d1" })).toMatchObject({ state: "closed", failures: 1 });
    const five = ["d1", "d2", "d3", "d4", "d5"].reduce(
      (breaker, refused) => after(breaker, failure({ refused })),
      CLOSED_BREAKER,
    );
    expect(five.state).toBe("open");
  });
});

test("a subscriber that asks for more time than the cooldown gets it, and for less does not", () => {
  expect(after(failing(4), failure({ retryAfterMs: 90_000 })).until).toBe(NOW + 90_000);
  expect(after(failing(4), failure({ retryAfterMs: 1_000 })).until).toBe(NOW + 60_000);
});

test("a subscriber that asks for a rest while closed is left alone, for a cooldown at most", () => {
  expect(after(CLOSED_BREAKER, failure({ retryAfterMs: 5_000 })).restUntil).toBe(NOW + 5_000);
  expect(after(CLOSED_BREAKER, failure({ retryAfterMs: 300_000 })).restUntil).toBe(NOW + 60_000);
});

test("a probe is granted once per cooldown, and not before its end", () => {
  expect(after(OPEN, probe, OPEN.until - 1)).toBe(OPEN);
  expect(HALF_OPEN).toMatchObject({ state: "half_open", until: OPEN.until + 15_000 });
  expect(after(HALF_OPEN, probe, HALF_OPEN.until - 1)).toBe(HALF_OPEN);
  expect(after(CLOSED_BREAKER, probe)).toBe(CLOSED_BREAKER);
});

test("a probe whose worker died is granted again after its lease", () => {
  expect(after(HALF_OPEN, probe, HALF_OPEN.until)).toMatchObject({
    state: "half_open",
    until: HALF_OPEN.until + 15_000,
  });
});

test("a probe's success closes the breaker, and its failure opens it for another cooldown", () => {
  expect(after(HALF_OPEN, success(), NOW + 70_000)).toMatchObject({ state: "closed", failures: 0, until: 0 });
  const again = after(HALF_OPEN, failure({ isProbe: true }), NOW + 70_000);
  expect(again).toMatchObject({ state: "open", failures: 6, until: NOW + 130_000 });
});

test("a failure of another request changes nothing while the breaker is open", () => {
  expect(after(OPEN, failure(), NOW + 1_000)).toEqual(OPEN);
  expect(after(HALF_OPEN, failure(), NOW + 61_000)).toEqual(HALF_OPEN);
});

test("an answer to a request that was sent before the breaker last closed does not count", () => {
  const closed = after(HALF_OPEN, success(), NOW + 70_000);
  expect(after(closed, failure({ sentAgoMs: 2_000 }), NOW + 71_000)).toBe(closed);
  expect(after(closed, success(2_000), NOW + 71_000)).toBe(closed);
  expect(after(closed, failure({ sentAgoMs: 500 }), NOW + 71_000).failures).toBe(1);
});

test("a success of a request that was on the wire when the breaker opened closes it", () => {
  expect(after(OPEN, success(3_000), NOW + 1_000).state).toBe("closed");
});

test("a reset closes it, and forgets a rest that the subscriber asked for", () => {
  const resting = after(CLOSED_BREAKER, failure({ retryAfterMs: 5_000 }));
  for (const before of [OPEN, HALF_OPEN, resting]) {
    expect(after(before, { kind: "reset" })).toEqual({ ...CLOSED_BREAKER, closedAt: NOW });
  }
});

test("an answer to a request that was sent before a reset does not count, though the breaker was closed and well", () => {
  const reset = after(CLOSED_BREAKER, { kind: "reset" });
  expect(reduceBreaker(reset, failure({ sentAgoMs: 15_000 }), NOW + 14_000, policy)).toBe(reset);
  expect(reduceBreaker(reset, failure({ sentAgoMs: 13_000 }), NOW + 14_000, policy).failures).toBe(1);
});
