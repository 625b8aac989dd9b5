import { familyRange, type IdRange } from "@postrider/shared/core/ids/id-range.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { loadBatchesRows } from "@postrider/shared/store/sql/load-batches.ts";
import { splitPoisonBatchRows } from "@postrider/shared/store/sql/split-poison-batch.ts";
import type { Context } from "../context.ts";
import type { Delivery, Result } from "../delivery.ts";
import { deadLetter, showDeadLetter } from "./dead-letter.ts";

/**
 * Splits a batch whose workers keep dying into single deliveries, so that the one that kills them is found. The batch's
 * own job then finds nothing to do.
 *
 * @returns false where the batch has a single delivery
 */
export async function splitPoisonBatch(context: Context, batch: { id: string } & IdRange): Promise<boolean> {
  const deliveries = await loadBatchesRows(context.pool, [batch.id], batch);
  if (deliveries.length === 1) return false;
  if (deliveries.length === 0) return true;
  const rows = await splitPoisonBatchRows(context.pool, batch, newId());
  context.log.error(
    { batch: batch.id, deliveries: rows.length },
    "split a batch into single deliveries because workers died while they delivered it",
  );
  context.metrics.poison.inc({ kind: "batch" });
  await context.enqueue.dispatch(
    rows.map(({ id, batch: single }) => ({ id: single, size: 1, isSuspect: true, ...familyRange([id]) })),
  );
  return true;
}

/** Dead-letters a delivery that killed its workers. It can be retried after a fix. */
export function deadLetterPoison(context: Context, delivery: Delivery): Promise<Result> {
  context.metrics.poison.inc({ kind: "delivery" });
  return deadLetter(context, delivery, "workers died while they delivered this");
}

/** Dead-letters the single delivery of a batch that killed its workers, and shows it on the board. */
export async function deadLetterPoisonBatch(context: Context, batch: { id: string } & IdRange): Promise<void> {
  for (const delivery of await loadBatchesRows(context.pool, [batch.id], batch)) {
    const result = await deadLetterPoison(context, delivery);
    const subscribers = await context.loadSubscribers([delivery.subscriptionId], now());
    const subscriber = subscribers.get(delivery.subscriptionId)!;
    if (result.kind === "dead") await showDeadLetter(context, { delivery, subscriber }, result);
  }
}
