import type { IdRange } from "@postrider/shared/core/ids/id-range.ts";
import type { HeldReason } from "@postrider/shared/core/delivery/states.ts";
import { loadBatchRows } from "@postrider/shared/store/sql/load-batch.ts";
import type { Context } from "../context.ts";
import type { Delivery } from "../delivery.ts";
import { loadAndHold } from "./load-and-hold.ts";

/**
 * Loads the pending deliveries of a batch. Those of saturated subscriptions and open breakers are held instead, except
 * released ones: that costs less here than one by one.
 *
 * @param bodiless subscriptions whose deliveries are loaded without their bodies
 */
export async function loadBatch(
  context: Context,
  batch: { id: string } & IdRange,
  bodiless: readonly string[],
): Promise<Delivery[]> {
  const toHold = saturatedOrOpen(context);
  if (toHold.size > 0) return loadAndHold(context, batch, bodiless, toHold);
  const deliveries = await loadBatchRows(context.pool, batch, bodiless);
  context.metrics.batchSize.observe(deliveries.length);
  return deliveries;
}

/** Subscriptions that cannot take another delivery now, with the reason. */
function saturatedOrOpen({ breakerReports, slots }: Context): Map<string, HeldReason> {
  const reasons = new Map<string, HeldReason>(slots.blockedSubscriptions());
  for (const subscriptionId of breakerReports.recentlyOpened()) reasons.set(subscriptionId, "breaker");
  return reasons;
}
