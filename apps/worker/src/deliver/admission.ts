import type { SharedBreaker } from "@postrider/shared/breaker/breakers.ts";
import type { HeldReason, Trigger } from "@postrider/shared/core/delivery/states.ts";
import type { Subscriber, Subscription } from "../delivery.ts";
import type { Postponed } from "./postpone.ts";

/** Somebody has to set ENCRYPTION_KEY and start the process again. */
const WRONG_SETTING_RETRY_MS = 60_000;

/** Whether a delivery may be attempted now. */
export type Admission =
  | { kind: "admitted"; subscription: Subscription; breaker: SharedBreaker | undefined }
  | { kind: "held"; reason: HeldReason }
  | { kind: "cancelled" }
  | ({ kind: "postponed" } & Postponed)
  | { kind: "broken"; problem: string };

export type Admitted = Extract<Admission, { kind: "admitted" }>;
export type Refusal = Exclude<Admission, Admitted>;

/**
 * Decides whether a delivery may be attempted now, except for the subscription's limits: the slots apply those.
 *
 * @param trigger manual attempts and probes are admitted while the breaker is open; not while paused or disabled
 */
export function admit({ subscription, breaker }: Subscriber, trigger: Trigger): Admission {
  if (subscription === undefined) return { kind: "broken", problem: "the subscription's row is missing" };
  if ("problem" in subscription) {
    const problem = `the subscription cannot be used: ${subscription.problem}`;
    return subscription.isOurs
      ? { kind: "postponed", problem, retryInMs: WRONG_SETTING_RETRY_MS }
      : { kind: "broken", problem };
  }
  if (subscription.isDeleted) return { kind: "cancelled" };
  switch (subscription.status) {
    case "paused":
    case "disabled":
      return { kind: "held", reason: subscription.status };
    case "active":
      return trigger === "auto" ? admitAuto(subscription, breaker) : { kind: "admitted", subscription, breaker };
  }
}

function admitAuto(subscription: Subscription, breaker: SharedBreaker | undefined): Admission {
  if (breaker !== undefined && breaker.state !== "closed") return { kind: "held", reason: "breaker" };
  // The subscriber asked for a rest with Retry-After.
  if (breaker !== undefined && breaker.restUntil > breaker.now) return { kind: "held", reason: "pace" };
  return { kind: "admitted", subscription, breaker };
}
