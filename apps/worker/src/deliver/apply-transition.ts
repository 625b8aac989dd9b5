import type { Transition } from "@postrider/shared/core/delivery/transitions.ts";
import type { Context } from "../context.ts";
import type { Delivery, Result } from "../delivery.ts";

export const DONE: Result = { kind: "done" };
export const GIVEN_BACK: Result = { kind: "given_back" };

/** Records a transition without an attempt. */
export async function applyTransition(
  context: Context,
  delivery: Delivery,
  transition: Transition,
  lastError: string | null = null,
): Promise<Result> {
  const { scheduleStep } = delivery;
  const applied = await context.recorder.record({ delivery, transition, attempt: undefined, scheduleStep, lastError });
  if (!applied) return DONE;
  countTransition(context, transition);
  return afterTransition(context, delivery, transition, lastError ?? "");
}

/** Starts the release of a held delivery's subscription, and returns the lane's next step after a transition. */
export function afterTransition(context: Context, delivery: Delivery, transition: Transition, error: string): Result {
  switch (transition.state) {
    case "retrying":
      return { kind: "retrying", delayMs: transition.delayMs, error };
    case "dead":
      return { kind: "dead", reason: transition.reason, error };
    case "held":
      // A paused or disabled subscription starts its release when it is resumed or enabled.
      if (transition.reason !== "paused" && transition.reason !== "disabled") {
        context.startRelease(delivery.subscriptionId);
      }
      return DONE;
    case "delivered":
    case "cancelled":
      return DONE;
  }
}

export function countTransition({ metrics }: Context, transition: Transition): void {
  metrics.transitions.inc({ state: transition.state, reason: "reason" in transition ? transition.reason : "" });
}
