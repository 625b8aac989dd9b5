import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { Context } from "../context.ts";
import type { Delivery, Result, Work } from "../delivery.ts";
import { applyTransition } from "./apply-transition.ts";

/** Shows a dead letter on the board, where its own retry job is not there to fail. */
export async function showDeadLetter(
  { enqueue }: Context,
  { delivery: { id, cycle, eventType }, subscriber: { subscription } }: Work,
  { reason, error }: Extract<Result, { kind: "dead" }>,
): Promise<void> {
  const url = subscription && "url" in subscription ? subscription.url.href : undefined;
  await enqueue.showDeadLetters([{ delivery: id, cycle, eventType, url, error: `${reason}: ${error}` }]);
}

export const EVENT_MISSING = "the event is missing";

/** Dead-letters a delivery that Postrider itself cannot attempt. It can be retried after a fix. */
export function deadLetter(context: Context, delivery: Delivery, problem: string): Promise<Result> {
  context.log.error(
    { delivery: toPublicId("dlv", delivery.id), problem },
    "cannot attempt the delivery; dead-lettering it (internal)",
  );
  return applyTransition(context, delivery, { state: "dead", reason: "internal" }, `internal: ${problem}`);
}
