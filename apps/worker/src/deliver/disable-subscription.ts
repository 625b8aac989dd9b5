import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { disableSubscriptionRow } from "@postrider/shared/store/sql/disable-subscription.ts";
import type { Context } from "../context.ts";

/** Disables a subscription. New events for it are still stored, and held until it is enabled. */
export async function disableSubscription(
  { pool, log, resetBreakerOf }: Context,
  id: string,
  reason: string,
): Promise<void> {
  const subscription = toPublicId("sub", id);
  try {
    const isDisabledNow = await disableSubscriptionRow(pool, id, reason);
    if (isDisabledNow) log.warn({ subscription, reason }, "disabled the subscription");
    // Nothing probes it any more.
    await resetBreakerOf(id);
  } catch (error) {
    log.warn({ err: error, subscription, reason }, "could not disable the subscription; its next 410 tries again");
  }
}
