import { CLOSED_BREAKER, reduceBreaker, type Breaker, type BreakerPolicy } from "./breaker.ts";
import { NO_PACE, PACE_KEPT_MS, reducePace, type Pace } from "./pace.ts";

/** The state of a subscription's receiver that the fleet shares. */
export interface Health {
  breaker: Breaker;
  pace: Pace;
}

export const UNKNOWN_HEALTH: Health = { breaker: CLOSED_BREAKER, pace: NO_PACE };

export type HealthEvent =
  /** Coalesced successes. `sentAgoMs` is the age of the latest request, `agoMs` that of its answer if it comes late. */
  | { kind: "success"; sentAgoMs: number; agoMs: number; successes: number; isWaiting: boolean }
  | {
      kind: "failure";
      sentAgoMs: number;
      isProbe: boolean;
      /** False for probes and manual attempts: they don't depend on load. A refused payload counts as a success. */
      countsForPace: boolean;
      /** Whether deliveries of the subscription wait in the worker. */
      isWaiting: boolean;
      lastSuccessAgoMs: number | undefined;
      refused: string | undefined;
      retryAfterMs: number;
    }
  | { kind: "probe"; leaseMs: number }
  | { kind: "reset" };

/**
 * The breaker and the pace after an event. A pace ends when the breaker opens: a dead receiver is not overloaded.
 *
 * @param now Unix milliseconds
 */
export function reduceHealth(health: Health, event: HealthEvent, now: number, policy: BreakerPolicy): Health {
  const breaker = reduceBreaker(health.breaker, event, now, policy);
  switch (event.kind) {
    case "success":
      if (now - event.sentAgoMs < health.breaker.closedAt) return health;
      return { breaker, pace: reducePace(health.pace, { ...event, failures: 0 }, now) };
    case "failure": {
      if (now - event.sentAgoMs < health.breaker.closedAt) return health;
      if (breaker.state !== "closed") return { breaker, pace: NO_PACE };
      if (!event.countsForPace) return { breaker, pace: health.pace };
      const answer = event.refused === undefined ? { successes: 0, failures: 1 } : { successes: 1, failures: 0 };
      return { breaker, pace: reducePace(health.pace, { ...answer, isWaiting: event.isWaiting }, now) };
    }
    case "probe":
      return { breaker, pace: health.pace };
    case "reset":
      return { breaker, pace: NO_PACE };
  }
}

/**
 * Workers report successes of watched subscriptions only. A minute outlasts the default schedule's longest delay (32 s),
 * so the success of a retry is still reported.
 */
const WATCHED_MS = 60_000;

/**
 * Until when workers read a subscription's breaker and pace, and report its successes: while it fails, is not closed,
 * rests, or has a pace. Unix milliseconds.
 */
export const watchedUntil = ({ breaker, pace }: Health): number =>
  Math.max(
    breaker.lastFailureAt === 0 ? 0 : breaker.lastFailureAt + WATCHED_MS,
    breaker.state === "closed" ? 0 : breaker.until + WATCHED_MS,
    breaker.restUntil,
    pace.rate === 0 ? 0 : pace.since + PACE_KEPT_MS,
  );
