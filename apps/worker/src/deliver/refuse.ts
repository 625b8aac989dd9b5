import type { Context } from "../context.ts";
import type { Delivery, Result } from "../delivery.ts";
import type { Refusal } from "./admission.ts";
import { applyTransition } from "./apply-transition.ts";
import { deadLetter } from "./dead-letter.ts";

/** Moves a delivery that may not be attempted now to the state that its admission asks for. */
export function refuse(context: Context, delivery: Delivery, admission: Refusal): Promise<Result> {
  switch (admission.kind) {
    case "held":
      return applyTransition(context, delivery, { state: "held", reason: admission.reason });
    case "cancelled":
      return applyTransition(context, delivery, { state: "cancelled" });
    case "broken":
      return deadLetter(context, delivery, admission.problem);
  }
}
