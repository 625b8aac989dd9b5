/** Closed: deliveries are sent. Open: they are held. Half open: one probe is under way. */
export type BreakerState = "closed" | "open" | "half_open";

/**
 * A subscription's circuit breaker. It opens after consecutive failed attempts, but only without a recent success: a
 * receiver that answers every third request is flaky, not dead. This reducer is the specification; `breaker.lua` is the
 * implementation that the fleet shares, and a model test compares them. All times are Unix milliseconds; 0 is never.
 */
export interface Breaker {
  state: BreakerState;
  /** Consecutive failed attempts. */
  failures: number;
  lastFailureAt: number;
  lastSuccessAt: number;
  /** When it last closed. Responses to requests sent before that are ignored. */
  closedAt: number;
  /** Open: the end of the cooldown. Half open: when the probe counts as lost. Closed: 0. */
  until: number;
  /** No requests before this time: the subscriber's `Retry-After`. */
  restUntil: number;
  /** Deliveries whose payload was refused since the last success: each counts as one failure. */
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
  /**
   * @property sentAgoMs how long ago the request was sent
   * @property agoMs how long ago it succeeded, where a worker reports that late: failures since then still count
   */
  | { kind: "success"; sentAgoMs: number; agoMs: number }
  | {
      kind: "failure";
      sentAgoMs: number;
      isProbe: boolean;
      /** Age of the last success that the worker knows of; undefined if it knows of none. */
      lastSuccessAgoMs: number | undefined;
      /** The delivery's id if its payload was refused (a 4xx other than 408, 425 and 429). */
      refused: string | undefined;
      /** From `Retry-After`; 0 without one. */
      retryAfterMs: number;
    }
  /** Requests the probe; granted if the state changes. A probe without an outcome after `leaseMs` counts as lost. */
  | { kind: "probe"; leaseMs: number }
  /** A new URL, or a person enabled the subscription: requests that were sent before say nothing about it. */
  | { kind: "reset" };

export interface BreakerPolicy {
  /** Consecutive failures that open it. */
  threshold: number;
  /** It opens only if the last success is older than this. With 0 the threshold alone decides. */
  recentSuccessMs: number;
  cooldownMs: number;
}

/** The breaker after an event; the same object if the event changes nothing. */
export function reduceBreaker(breaker: Breaker, event: BreakerEvent, now: number, policy: BreakerPolicy): Breaker {
  switch (event.kind) {
    case "success":
      return now - event.sentAgoMs < breaker.closedAt ? breaker : succeed(breaker, now - event.agoMs, now);
    case "failure":
      return now - event.sentAgoMs < breaker.closedAt ? breaker : fail(breaker, event, now, policy);
    case "probe":
      return breaker.state !== "closed" && now >= breaker.until
        ? { ...breaker, state: "half_open", until: now + event.leaseMs }
        : breaker;
    case "reset":
      return { ...CLOSED_BREAKER, closedAt: now };
  }
}

function succeed(breaker: Breaker, at: number, now: number): Breaker {
  const lastSuccessAt = Math.max(breaker.lastSuccessAt, at);
  if (at < breaker.lastFailureAt) return { ...breaker, lastSuccessAt };
  return breaker.state === "closed"
    ? { ...breaker, failures: 0, lastSuccessAt, refused: [] }
    : { ...close(breaker, now), lastSuccessAt };
}

const close = (breaker: Breaker, now: number): Breaker => ({
  ...CLOSED_BREAKER,
  lastSuccessAt: breaker.lastSuccessAt,
  // A success does not cancel a `Retry-After`.
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
  // Another worker has seen a success since the last failure.
  const isFirst = breaker.state === "closed" && lastSuccessAt > breaker.lastFailureAt;
  const refusedBefore = isFirst ? [] : breaker.refused;
  const counts = event.refused === undefined || !refusedBefore.includes(event.refused);
  const refused =
    event.refused === undefined || !counts || refusedBefore.length >= policy.threshold
      ? refusedBefore
      : [...refusedBefore, event.refused];
  const failures = (isFirst ? 0 : breaker.failures) + (counts ? 1 : 0);
  const failed: Breaker = { ...breaker, failures, lastFailureAt: now, lastSuccessAt, restUntil, refused };
  const isLongAgo = lastSuccessAt === 0 || now - lastSuccessAt >= policy.recentSuccessMs;
  const opens = reopens || (failures >= policy.threshold && isLongAgo);
  return opens ? { ...failed, state: "open", until: openUntil } : failed;
}
