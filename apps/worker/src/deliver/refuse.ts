import type { Trigger } from "@postrider/shared/core/delivery/states.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { Context } from "../context.ts";
import type { Delivery, Result } from "../delivery.ts";
import type { Refusal } from "./admission.ts";
import { applyTransition } from "./apply-transition.ts";
import { deadLetter } from "./dead-letter.ts";
import { postpone } from "./postpone.ts";

/** What the tenant sees. */
const KEY_MISSING = "not sent: the workers lack a key of this installation";

/** Moves a delivery that may not be attempted now to the state that its admission asks for. */
export function refuse(context: Context, delivery: Delivery, trigger: Trigger, admission: Refusal): Promise<Result> {
  switch (admission.kind) {
    case "held":
      return applyTransition(context, delivery, { state: "held", reason: admission.reason });
    case "cancelled":
      return applyTransition(context, delivery, { state: "cancelled" });
    case "postponed":
      context.log.error({ delivery: toPublicId("dlv", delivery.id), problem: admission.problem }, "a key is missing");
      return postpone(context, delivery, trigger, { ...admission, problem: KEY_MISSING });
    case "broken":
      return deadLetter(context, delivery, admission.problem);
  }
}
