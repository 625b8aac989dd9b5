import type { Outcome } from "./outcome.ts";
import { nextRetryDelay, type RetrySchedule } from "./retry-schedule.ts";
import type { Trigger } from "./states.ts";
import type { Transition } from "./transitions.ts";

/**
 * Decides which state a delivery moves to after an outcome.
 *
 * @param scheduleStep how many attempts of this cycle counted against the schedule before this one
 * @param random in [0, 1), for the jitter
 */
export function decide(outcome: Outcome, scheduleStep: number, schedule: RetrySchedule, random: number): Transition {
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

/** Decides which state a held delivery moves to after a probe. A failed probe uses no step of the schedule. */
export const decideProbe = (outcome: Outcome): Transition =>
  outcome.kind === "retryable" ? { state: "held", reason: "breaker" } : decide(outcome, 0, [], 0);

/** The trigger of a delivery's next attempt. The first attempt of a cycle above 0 is a manual retry. */
export function triggerOf(cycle: number, scheduleStep: number): Trigger {
  return cycle > 0 && scheduleStep === 0 ? "manual" : "auto";
}
