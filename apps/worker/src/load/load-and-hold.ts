import { priorityOfBatch, RELEASED } from "@postrider/shared/core/ids/batch-id.ts";
import type { IdRange } from "@postrider/shared/core/ids/id-range.ts";
import type { HeldReason } from "@postrider/shared/core/delivery/states.ts";
import type { Context } from "../context.ts";
import { loadBatch, type Delivery } from "./load-batch.ts";

/**
 * Loads what can be sent of a batch, and holds what is for subscriptions that cannot take it now. It decides nothing of its
 * own: who is held back was refused a moment ago by what decides it, the breaker or the slots.
 *
 * @param bodiless as in loadBatch()
 */
export async function loadAndHold(
  context: Context,
  batch: { id: string } & IdRange,
  bodiless: readonly string[],
): Promise<Delivery[]> {
  const { pool, metrics, startRelease } = context;
  const { deliveries, heldBack } = await loadBatch(pool, batch.id, batch, {
    bodiless,
    // What was released is looked at afresh: the breaker may have closed since it was heard of.
    refused: priorityOfBatch(batch.id) === RELEASED ? new Map() : refusedNow(context),
  });
  metrics.batchSize.observe(deliveries.length + heldBack.length);
  for (const { subscriptionId, reason } of heldBack) {
    metrics.moves.inc({ state: "held", reason });
    if (reason !== "paused" && reason !== "disabled") startRelease(subscriptionId);
  }
  return deliveries;
}

function refusedNow({ breakerReports, slots }: Context): Map<string, HeldReason> {
  const reasons = new Map<string, HeldReason>(slots.blockedSubscriptions());
  for (const subscriptionId of breakerReports.recentlyOpened()) reasons.set(subscriptionId, "breaker");
  return reasons;
}
