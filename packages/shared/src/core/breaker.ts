/** Deliveries flow; none flow; one is under way to find out whether they may flow again. */
export type BreakerState = "closed" | "open" | "half_open";

/**
 * A subscription's circuit breaker. This reducer is the specification; `breaker.lua` is the implementation that the
 * fleet shares, and a model test holds the two together.
 */
export interface Breaker {
  state: BreakerState;
  /** Failed attempts in a row. */
  failures: number;
  /** Rises with every transition: an answer counts only in the generation that its request was sent in. */
  generation: number;
  /** Unix milliseconds. Open: the end of the cooldown. Half open: when the probe counts as lost. Closed: 0. */
  until: number;
  /**
   * When the latest of the requests that failed in a row began; where the last of them asked for more time than the cooldown, the
   * end of that. Unix milliseconds; 0 where none failed.
   */
  failedAt: number;
}

/** What a breaker is while nothing is known of it; also what it is after Redis lost it. */
export const CLOSED_BREAKER: Breaker = { state: "closed", failures: 0, generation: 0, until: 0, failedAt: 0 };

export type BreakerEvent =
  /** @property agoMs how long ago the request began */
  | { kind: "success"; generation: number; agoMs: number }
  /** @property retryAfterMs how long the subscriber asks to be left alone; 0 where it does not ask */
  | { kind: "failure"; generation: number; agoMs: number; isProbe: boolean; retryAfterMs: number }
  /** Asks for the probe; granted where the state changes. `leaseMs` is how long the probe may take before it counts as lost. */
  | { kind: "probe"; leaseMs: number }
  /** A person says that the subscriber is well. */
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
      return event.generation === breaker.generation || outruns(breaker, event, now) ? succeed(breaker) : breaker;
    case "failure":
      return event.generation === breaker.generation ? fail(breaker, event, now, policy) : breaker;
    case "probe":
      // Half open and overdue: whoever had the probe died with it.
      return breaker.state !== "closed" && now >= breaker.until
        ? { ...breaker, state: "half_open", generation: breaker.generation + 1, until: now + event.leaseMs }
        : breaker;
    case "reset":
      return breaker.state === "closed" && breaker.failures === 0 ? breaker : close(breaker);
  }
}

/**
 * Whether a success of the time before the breaker opened is newer than the failures that opened it: of requests that are sent
 * together those that fail are often answered first, and are then in a row only by the order of the answers. Nothing outruns
 * the wish of a subscriber to be left alone for longer than the cooldown.
 */
const outruns = (
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
    const asksForMore = retryAfterMs > cooldownMs;
    return {
      state: "open",
      failures,
      generation: breaker.generation + 1,
      until,
      failedAt: asksForMore ? until : failedAt,
    };
  };
  if (breaker.state === "closed") return failures < threshold ? { ...breaker, failures, failedAt } : open();
  // A manual attempt that fails while it is open tells nothing new.
  return isProbe && breaker.state === "half_open" ? open() : breaker;
}

const close = ({ generation }: Breaker): Breaker => ({ ...CLOSED_BREAKER, generation: generation + 1 });
