import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { disableSubscriptionRow } from "@postrider/shared/store/sql/disable-subscription.ts";
import type { Context } from "../context.ts";
import type { Subscription } from "../delivery.ts";

/**
 * Disables a subscription, unless it was changed or enabled since the request was made: then the answer is about what it
 * was, and the next 410 decides. New events for it are still stored, and held until it is enabled.
 */
export async function disableSubscription(
  { pool, log, resetBreakerOf }: Pick<Context, "pool" | "log" | "resetBreakerOf">,
  { id, revision }: Pick<Subscription, "id" | "revision">,
  reason: string,
): Promise<void> {
  const subscription = toPublicId("sub", id);
  try {
    const result = await disableSubscriptionRow(pool, id, revision, reason);
    if (result === "disabled") log.warn({ subscription, reason }, "disabled the subscription");
    // Nothing probes a disabled one any more.
    if (result !== "changed") await resetBreakerOf(id);
  } catch (error) {
    log.warn({ err: error, subscription, reason }, "could not disable the subscription; its next 410 tries again");
  }
}
