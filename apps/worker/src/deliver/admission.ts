import type { Breaker } from "@postrider/shared/core/breaker.ts";
import type { HeldReason, Trigger } from "@postrider/shared/core/delivery/states.ts";
import type { Subscriber, Subscription } from "../delivery.ts";

/** Whether a delivery may be attempted now. */
export type Admission =
  /** Without a breaker (Redis is away) the attempt's answer is not reported to one. */
  | { kind: "admitted"; subscription: Subscription; breaker: Breaker | undefined }
  | { kind: "held"; reason: HeldReason }
  | { kind: "cancelled" }
  | { kind: "broken"; problem: string };

/**
 * The seam between loading and sending: what keeps a delivery from being attempted is decided here, except for the
 * subscription's budget, which is decided where its turn comes (slots.ts).
 *
 * @param trigger a manual attempt is made though the breaker is open, and so is the probe; neither when paused or disabled
 */
export function admit({ subscription, breaker }: Subscriber, trigger: Trigger): Admission {
  if (subscription === undefined) return { kind: "broken", problem: "the subscription's row is missing" };
  if ("problem" in subscription) {
    return { kind: "broken", problem: `the subscription cannot be used: ${subscription.problem}` };
  }
  if (subscription.isDeleted) return { kind: "cancelled" };
  switch (subscription.status) {
    case "paused":
    case "disabled":
      return { kind: "held", reason: subscription.status };
    case "active":
      return trigger === "auto" && breaker !== undefined && breaker.state !== "closed"
        ? { kind: "held", reason: "breaker" }
        : { kind: "admitted", subscription, breaker };
  }
}
