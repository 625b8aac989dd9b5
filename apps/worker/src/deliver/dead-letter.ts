import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { Context } from "../context.ts";
import type { Delivery, Result } from "../delivery.ts";
import { applyTransition } from "./apply-transition.ts";

export const EVENT_MISSING = "the event is missing";

/** Dead-letters a delivery that Postrider itself cannot attempt. It can be retried after a fix. */
export function deadLetter(context: Context, delivery: Delivery, problem: string): Promise<Result> {
  context.log.error(
    { delivery: toPublicId("dlv", delivery.id), problem },
    "cannot attempt the delivery; dead-lettering it (internal)",
  );
  return applyTransition(context, delivery, { state: "dead", reason: "internal" }, `internal: ${problem}`);
}
