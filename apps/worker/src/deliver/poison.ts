import { familyRange, type IdRange } from "@postrider/shared/core/ids/id-range.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { loadBatchRows } from "@postrider/shared/store/sql/load-batch.ts";
import { splitPoisonBatchRows } from "@postrider/shared/store/sql/split-poison-batch.ts";
import type { Context } from "../context.ts";
import type { Delivery, Result } from "../delivery.ts";
import { deadLetter } from "./dead-letter.ts";

/** A job that has stalled this often is suspected of killing its workers. */
export const POISON_STALLS = 3;

/**
 * Splits a batch whose workers keep dying into single deliveries, so that the delivery that kills them is alone. A
 * single delivery is dead-lettered (`internal`). The batch's own job then finds nothing to do.
 */
export async function splitPoisonBatch(context: Context, batch: { id: string } & IdRange): Promise<void> {
  const deliveries = await loadBatchRows(context.pool, batch);
  const [only] = deliveries;
  if (!only) return;
  if (deliveries.length === 1) {
    await deadLetterPoison(context, only);
    return;
  }
  const rows = await splitPoisonBatchRows(context.pool, batch, newId());
  context.log.error(
    { batch: batch.id, deliveries: rows.length },
    "split a batch into single deliveries because workers died of it",
  );
  context.metrics.poison.inc({ kind: "batch" });
  await context.enqueue.dispatch(rows.map(({ id, batch: single }) => ({ id: single, size: 1, ...familyRange([id]) })));
}

export function deadLetterPoison(context: Context, delivery: Delivery): Promise<Result> {
  context.metrics.poison.inc({ kind: "delivery" });
  return deadLetter(context, delivery, "workers died while they delivered this");
}
