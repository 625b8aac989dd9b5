import type { HeldReason } from "@postrider/shared/core/delivery/states.ts";
import type { IdRange } from "@postrider/shared/core/ids/id-range.ts";
import { loadAndHoldBatchRows } from "@postrider/shared/store/sql/load-and-hold-batch.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import type { Delivery } from "../delivery.ts";
import type { createWorkerMetrics } from "../metrics.ts";

/** What is needed to hold deliveries while they are loaded. */
export interface Holding {
  pool: Pool;
  metrics: Pick<ReturnType<typeof createWorkerMetrics>, "batchSize" | "transitions">;
  startRelease: (subscriptionId: string) => void;
}

/**
 * Holds the deliveries of a batch whose subscriptions cannot take one now, and loads the others. Released deliveries are
 * never held here.
 *
 * @param bodiless subscriptions whose deliveries are loaded without their bodies
 * @param toHold subscriptions that cannot take a delivery now, each with the reason
 */
export async function loadAndHold(
  { pool, metrics, startRelease }: Holding,
  batch: { id: string } & IdRange,
  bodiless: readonly string[],
  toHold: ReadonlyMap<string, HeldReason>,
): Promise<Delivery[]> {
  const rows = await loadAndHoldBatchRows(pool, batch, bodiless, toHold);
  metrics.batchSize.observe(rows.length);
  for (const { subscriptionId, heldReason } of rows) {
    if (heldReason === null) continue;
    metrics.transitions.inc({ state: "held", reason: heldReason });
    if (heldReason !== "paused" && heldReason !== "disabled") startRelease(subscriptionId);
  }
  return rows.filter(({ heldReason }) => heldReason === null);
}
