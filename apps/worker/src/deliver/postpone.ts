import type { Trigger } from "@postrider/shared/core/delivery/states.ts";
import type { Context } from "../context.ts";
import type { Delivery, Result } from "../delivery.ts";
import { applyTransition, GIVEN_BACK } from "./apply-transition.ts";

/** Nothing was sent, for a reason of our own: the host could not be looked up, or a key is missing. */
export interface Postponed {
  retryInMs: number;
  problem: string;
}

/**
 * Puts off a delivery that could not be sent for a reason of our own: it waits in the retry lane, and no attempt is
 * spent. A probe's delivery stays held.
 */
export async function postpone(
  context: Context,
  delivery: Delivery,
  trigger: Trigger,
  { retryInMs, problem }: Postponed,
): Promise<Result> {
  if (trigger === "probe") return GIVEN_BACK;
  // Spread: many are postponed at once.
  const delayMs = Math.round(retryInMs * (0.75 + Math.random() / 2));
  return applyTransition(context, delivery, { state: "retrying", delayMs }, problem);
}
