/** Closed: deliveries are attempted. Open: they are held. Half open: a single probe is under way. */
export type BreakerState = "closed" | "open" | "half_open";

/**
 * A subscription's circuit breaker. This reducer is the specification, `breaker.lua` is the implementation that the
 * fleet shares, and a model test compares the two.
 */
export interface Breaker {
  state: BreakerState;
  /** Failed attempts in a row. */
  failures: number;
  /** Rises with every transition. A response counts only in the generation in which its request was sent. */
  generation: number;
  /** Unix milliseconds. Open: the end of the cooldown. Half open: when the probe counts as lost. Closed: 0. */
  until: number;
  /**
   * Start of the latest request that failed in a row, or the end of its Retry-After if that is longer than the
   * cooldown. Unix milliseconds; 0 without failures.
   */
  failedAt: number;
}

/** A breaker that has never failed, or that Redis lost. */
export const CLOSED_BREAKER: Breaker = { state: "closed", failures: 0, generation: 0, until: 0, failedAt: 0 };

export type BreakerEvent =
  /** @property agoMs how long ago the request started */
  | { kind: "success"; generation: number; agoMs: number }
  /** @property retryAfterMs the subscriber's Retry-After; 0 without one */
  | { kind: "failure"; generation: number; agoMs: number; isProbe: boolean; retryAfterMs: number }
  /**
   * Requests a probe, which is granted if the state changes.
   *
   * @property leaseMs how long the probe may take before it counts as lost
   */
  | { kind: "probe"; leaseMs: number }
  /** An operator resumed or enabled the subscription. */
  | { kind: "reset" };

export interface BreakerPolicy {
  /** Failures in a row that open the breaker. */
  threshold: number;
  cooldownMs: number;
}

/**
 * The breaker after an event; the same object if the event changes nothing.
 *
 * @param now Unix milliseconds
 */
export function reduceBreaker(breaker: Breaker, event: BreakerEvent, now: number, policy: BreakerPolicy): Breaker {
  switch (event.kind) {
    case "success":
      return event.generation === breaker.generation || supersedesOpening(breaker, event, now)
        ? succeed(breaker)
        : breaker;
    case "failure":
      return event.generation === breaker.generation ? fail(breaker, event, now, policy) : breaker;
    case "probe":
      // Half open and overdue: the worker that sent the probe has died.
      return breaker.state !== "closed" && now >= breaker.until
        ? { ...breaker, state: "half_open", generation: breaker.generation + 1, until: now + event.leaseMs }
        : breaker;
    case "reset":
      return breaker.state === "closed" && breaker.failures === 0 ? breaker : close(breaker);
  }
}

/**
 * Whether a success from the previous generation is newer than the failures that opened the breaker. Failures are often
 * faster than successes, so the failures of concurrent requests may be consecutive only in the order of their
 * responses. A success never supersedes a Retry-After that is longer than the cooldown.
 */
const supersedesOpening = (
  { state, generation, failedAt }: Breaker,
  event: { generation: number; agoMs: number },
  now: number,
): boolean => state === "open" && event.generation === generation - 1 && now - event.agoMs >= failedAt;

function succeed(breaker: Breaker): Breaker {
  if (breaker.state !== "closed") return close(breaker);
  return breaker.failures === 0 ? breaker : { ...breaker, failures: 0, failedAt: 0 };
}

function fail(
  breaker: Breaker,
  { isProbe, retryAfterMs, agoMs }: { isProbe: boolean; retryAfterMs: number; agoMs: number },
  now: number,
  { threshold, cooldownMs }: BreakerPolicy,
): Breaker {
  const failures = breaker.failures + 1;
  const failedAt = Math.max(breaker.failedAt, now - agoMs);
  const open = (): Breaker => {
    const until = now + Math.max(cooldownMs, retryAfterMs);
    const isExtended = retryAfterMs > cooldownMs;
    return {
      state: "open",
      failures,
      generation: breaker.generation + 1,
      until,
      failedAt: isExtended ? until : failedAt,
    };
  };
  if (breaker.state === "closed") return failures < threshold ? { ...breaker, failures, failedAt } : open();
  // A manual attempt that fails while the breaker is open changes nothing.
  return isProbe && breaker.state === "half_open" ? open() : breaker;
}

const close = ({ generation }: Breaker): Breaker => ({ ...CLOSED_BREAKER, generation: generation + 1 });
