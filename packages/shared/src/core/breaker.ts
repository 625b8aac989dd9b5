/** Deliveries flow; none flow; one is under way to find out whether they may flow again. */
export type BreakerState = "closed" | "open" | "half_open";

/**
 * A subscription's circuit breaker. It opens after a number of failed attempts in a row, but only when the last
 * success, if there ever was one, is older than a while: a receiver that answers every third request is flaky, not dead.
 * This reducer is the specification; `breaker.lua` is the implementation that the fleet shares, and a model test holds
 * the two together. All times are Unix milliseconds; 0 is never.
 */
export interface Breaker {
  state: BreakerState;
  /** Failed attempts in a row. */
  failures: number;
  lastFailureAt: number;
  lastSuccessAt: number;
  /** When it last closed. Answers to requests that were sent before do not count. */
  closedAt: number;
  /** Open: the end of the cooldown. Half open: when the probe counts as lost. Closed: 0. */
  until: number;
  /** The subscriber asked for no requests before this moment (`Retry-After`). */
  restUntil: number;
  /** Deliveries of this row of failures whose payload was refused: each counts once. */
  refused: readonly string[];
}

export const CLOSED_BREAKER: Breaker = {
  state: "closed",
  failures: 0,
  lastFailureAt: 0,
  lastSuccessAt: 0,
  closedAt: 0,
  until: 0,
  restUntil: 0,
  refused: [],
};

export type BreakerEvent =
  /** @property sentAgoMs how long ago the request was sent */
  | { kind: "success"; sentAgoMs: number }
  | {
      kind: "failure";
      sentAgoMs: number;
      isProbe: boolean;
      /** How long ago the sender last saw a success; undefined where it never did. */
      lastSuccessAgoMs: number | undefined;
      /** The delivery, where its payload was refused (a 4xx other than 408, 425 and 429). */
      refused: string | undefined;
      /** How long the subscriber asks to be left alone; 0 where it does not ask. */
      retryAfterMs: number;
    }
  /** Asks for the probe; granted where the state changes. `leaseMs` is how long the probe may take until it counts as lost. */
  | { kind: "probe"; leaseMs: number }
  /** A person says that the subscriber is well. */
  | { kind: "reset" };

export interface BreakerPolicy {
  /** Failures in a row that open it. */
  threshold: number;
  /** It opens only when the last success is older than this. 0 leaves the threshold alone to decide. */
  recentSuccessMs: number;
  cooldownMs: number;
}

/** The breaker after an event; the very same object where the event changes nothing. */
export function reduceBreaker(breaker: Breaker, event: BreakerEvent, now: number, policy: BreakerPolicy): Breaker {
  switch (event.kind) {
    case "success":
      return now - event.sentAgoMs < breaker.closedAt ? breaker : succeed(breaker, now);
    case "failure":
      return now - event.sentAgoMs < breaker.closedAt ? breaker : fail(breaker, event, now, policy);
    case "probe":
      return breaker.state !== "closed" && now >= breaker.until
        ? { ...breaker, state: "half_open", until: now + event.leaseMs }
        : breaker;
    case "reset":
      return breaker.state === "closed" && breaker.failures === 0 ? breaker : { ...close(breaker, now), restUntil: 0 };
  }
}

const succeed = (breaker: Breaker, now: number): Breaker =>
  breaker.state === "closed"
    ? { ...breaker, failures: 0, lastSuccessAt: now, refused: [] }
    : { ...close(breaker, now), lastSuccessAt: now };

const close = (breaker: Breaker, now: number): Breaker => ({
  ...CLOSED_BREAKER,
  lastSuccessAt: breaker.lastSuccessAt,
  // The subscriber asked for it, whatever one request came to.
  restUntil: breaker.restUntil,
  closedAt: now,
});

function fail(
  breaker: Breaker,
  event: Extract<BreakerEvent, { kind: "failure" }>,
  now: number,
  policy: BreakerPolicy,
): Breaker {
  const seenSuccessAt = event.lastSuccessAgoMs === undefined ? 0 : now - event.lastSuccessAgoMs;
  const lastSuccessAt = Math.max(breaker.lastSuccessAt, seenSuccessAt);
  const restMs = Math.min(event.retryAfterMs, policy.cooldownMs);
  const restUntil = restMs > 0 ? Math.max(breaker.restUntil, now + restMs) : breaker.restUntil;
  const openUntil = now + Math.max(policy.cooldownMs, event.retryAfterMs);
  const reopens = event.isProbe && breaker.state === "half_open";
  if (breaker.state !== "closed" && !reopens) return { ...breaker, lastSuccessAt };
  // A success that another worker saw since the last failure ends the row.
  const isNewRow = breaker.state === "closed" && lastSuccessAt > breaker.lastFailureAt;
  const refusedBefore = isNewRow ? [] : breaker.refused;
  const counts = event.refused === undefined || !refusedBefore.includes(event.refused);
  const refused =
    event.refused === undefined || !counts || refusedBefore.length >= policy.threshold
      ? refusedBefore
      : [...refusedBefore, event.refused];
  const failures = (isNewRow ? 0 : breaker.failures) + (counts ? 1 : 0);
  const failed: Breaker = { ...breaker, failures, lastFailureAt: now, lastSuccessAt, restUntil, refused };
  const isLongAgo = lastSuccessAt === 0 || now - lastSuccessAt >= policy.recentSuccessMs;
  const opens = reopens || (failures >= policy.threshold && isLongAgo);
  return opens ? { ...failed, state: "open", until: openUntil } : failed;
}
