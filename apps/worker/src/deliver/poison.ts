import { familyRange, type IdRange } from "@postrider/shared/core/ids/id-range.ts";
import { loadBatchRows } from "@postrider/shared/store/sql/load-batch.ts";
import { splitPoisonBatchRows } from "@postrider/shared/store/sql/split-poison-batch.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import type { Context } from "../context.ts";
import { fail, type Ending } from "./deliver.ts";
import type { Delivery } from "../delivery.ts";

/** A job whose workers died this often is suspected of killing them. */
export const POISON_STALLS = 3;

/**
 * Deals with a batch whose workers keep dying: it is split into single deliveries, so that the one that kills them is
 * alone; a single one is dead (`internal`), visible and retryable after a fix. The batch's own job then finds nothing left.
 */
export async function splitPoisonBatch(context: Context, batch: IdRange & { id: string }): Promise<void> {
  const deliveries = await loadBatchRows(context.pool, batch);
  const [only] = deliveries;
  if (!only) return;
  if (deliveries.length === 1) {
    await failAsPoison(context, only);
    return;
  }
  const rows = await splitPoisonBatchRows(context.pool, batch, newId());
  context.log.error(
    { batch: batch.id, deliveries: rows.length },
    "workers died of this batch: split into single deliveries",
  );
  context.metrics.poison.inc({ kind: "batch" });
  await context.enqueue.dispatch(rows.map(({ id, batch: single }) => ({ id: single, size: 1, ...familyRange([id]) })));
}

export function failAsPoison(context: Context, delivery: Delivery): Promise<Ending> {
  context.metrics.poison.inc({ kind: "delivery" });
  return fail(context, delivery, "workers died while they delivered this");
}
