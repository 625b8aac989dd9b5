import type { Transition } from "@postrider/shared/core/delivery/transitions.ts";
import type { Context } from "../context.ts";
import type { Delivery, Result } from "../delivery.ts";

export const DONE: Result = { kind: "done" };
export const GIVEN_BACK: Result = { kind: "given_back" };

/** Records a transition that no attempt decided. */
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

/** What the lane does next after a transition was applied. A held delivery is left to its subscription's release job. */
export function afterTransition(context: Context, delivery: Delivery, transition: Transition, error: string): Result {
  switch (transition.state) {
    case "retrying":
      return { kind: "retrying", delayMs: transition.delayMs, error };
    case "dead":
      return { kind: "dead", reason: transition.reason, error };
    case "held":
      // Resuming or enabling the subscription starts the release of paused or disabled ones.
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
