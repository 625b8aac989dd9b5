import type { Outcome } from "./outcome.ts";
import { nextRetryDelay, type RetrySchedule } from "./retry-schedule.ts";
import type { DeadReason, HeldReason, Trigger } from "./states.ts";

/** The state that a delivery goes to after an attempt. */
export type Decision =
  | { state: "delivered" }
  | { state: "retrying"; delayMs: number }
  | { state: "held"; reason: HeldReason }
  | { state: "dead"; reason: DeadReason };

/**
 * Decides what becomes of a delivery after an outcome.
 *
 * @param scheduleStep how many attempts of this cycle counted against the schedule before this one
 * @param random in [0, 1), for the jitter
 */
export function decide(outcome: Outcome, scheduleStep: number, schedule: RetrySchedule, random: number): Decision {
  switch (outcome.kind) {
    case "delivered":
      return { state: "delivered" };
    case "gone":
      return { state: "dead", reason: "gone" };
    case "blocked":
      return { state: "dead", reason: "blocked" };
    case "retryable": {
      const delayMs = nextRetryDelay(schedule, scheduleStep + 1, random, outcome.retryAfterMs);
      return delayMs === undefined ? { state: "dead", reason: "exhausted" } : { state: "retrying", delayMs };
    }
  }
}

/** Decides what becomes of a held delivery that the breaker probed with: failing as such costs it nothing. */
export const decideProbe = (outcome: Outcome): Decision =>
  outcome.kind === "retryable" ? { state: "held", reason: "breaker" } : decide(outcome, 0, [], 0);

/** Why the next attempt of a delivery is made: a cycle above 0 was begun by a person, and its first attempt is theirs. */
export function triggerOf(cycle: number, scheduleStep: number): Trigger {
  return cycle > 0 && scheduleStep === 0 ? "manual" : "auto";
}
