import type { HeldReason } from "@postrider/shared/core/states.ts";
import type { BrokenSubscription, Subscription } from "./load-subscriptions.ts";

/** Whether a delivery may be attempted now. */
export type Admission =
  | { kind: "admitted"; subscription: Subscription }
  | { kind: "held"; reason: HeldReason }
  | { kind: "cancelled" }
  | { kind: "broken"; problem: string };

/** The seam between loading and sending: what keeps a delivery from being attempted is decided here and nowhere else. */
export function admit(subscription: Subscription | BrokenSubscription | undefined): Admission {
  if (subscription === undefined) return { kind: "broken", problem: "the subscription's row is missing" };
  if ("broken" in subscription)
    return { kind: "broken", problem: `the subscription cannot be used: ${subscription.broken}` };
  if (subscription.deleted) return { kind: "cancelled" };
  switch (subscription.status) {
    case "paused":
    case "disabled":
      return { kind: "held", reason: subscription.status };
    case "active":
      return { kind: "admitted", subscription };
  }
}
