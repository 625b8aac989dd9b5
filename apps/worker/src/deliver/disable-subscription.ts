import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { disableSubscriptionRow } from "@postrider/shared/store/sql/disable-subscription.ts";
import type { Context } from "../context.ts";

/** Stops sending to a subscription; its events are still stored and held until somebody enables it. */
export async function disableSubscription({ pool, log }: Context, id: string, reason: string): Promise<void> {
  try {
    const isNew = await disableSubscriptionRow(pool, id, reason);
    if (isNew) log.warn({ subscription: toPublicId("sub", id), reason }, "subscription disabled");
  } catch (error) {
    // The next 410 tries again.
    log.warn({ err: error, subscription: toPublicId("sub", id) }, "could not disable a subscription");
  }
}
