/** Closed: deliveries are attempted. Open: they are held. Half open: a single probe is under way. */
export type BreakerState = "closed" | "open" | "half_open";

/**
 * A subscription's circuit breaker. This reducer is the specification; `breaker.lua` is the implementation that the
 * fleet shares, and a model test holds the two together.
 */
export interface Breaker {
  state: BreakerState;
  /** Failed attempts in a row. */
  failures: number;
  /** Rises with every transition: an answer counts only in the generation in which its request was sent. */
  generation: number;
  /** Unix milliseconds. Open: the end of the cooldown. Half open: when the probe counts as lost. Closed: 0. */
  until: number;
  /**
   * When the latest of the requests that failed in a row began; if its Retry-After is longer than the cooldown, the end
   * of that. Unix milliseconds; 0 where none failed.
   */
  failedAt: number;
}

/** A breaker that never failed, or that Redis lost. */
export const CLOSED_BREAKER: Breaker = { state: "closed", failures: 0, generation: 0, until: 0, failedAt: 0 };

export type BreakerEvent =
  /** @property agoMs how long ago the request began */
  | { kind: "success"; generation: number; agoMs: number }
  /** @property retryAfterMs the subscriber's Retry-After; 0 where it sent none */
  | { kind: "failure"; generation: number; agoMs: number; isProbe: boolean; retryAfterMs: number }
  /**
   * Requests the probe; granted where the state changes.
   *
   * @property leaseMs how long the probe may take before it counts as lost
   */
  | { kind: "probe"; leaseMs: number }
  /** An operator resumed or enabled the subscription. */
  | { kind: "reset" };

export interface BreakerPolicy {
  /** Failures in a row that open it. */
  threshold: number;
  cooldownMs: number;
}

/**
 * The breaker after an event; the very same object where the event changes nothing.
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
 * Whether a success from before the breaker opened is newer than the failures that opened it. Of requests that are sent
 * together, the failing ones are often answered first, so they are consecutive only in the order of their answers. A
 * success never supersedes a Retry-After that is longer than the cooldown.
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
  // The failure of a manual attempt while the breaker is open is no new information.
  return isProbe && breaker.state === "half_open" ? open() : breaker;
}

const close = ({ generation }: Breaker): Breaker => ({ ...CLOSED_BREAKER, generation: generation + 1 });
