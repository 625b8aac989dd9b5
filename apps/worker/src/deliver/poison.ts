import { familyRange, type IdRange } from "@postrider/shared/core/ids/id-range.ts";
import { isOneOf } from "@postrider/shared/store/picked-rows.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import type { Context } from "../context.ts";
import { fail, type Ending } from "./deliver.ts";
import { loadBatch, type Delivery } from "../load/load-batch.ts";

/** A job whose workers died this often is suspected of killing them. */
export const POISON_STALLS = 3;

/**
 * Deals with a batch whose workers keep dying: it is split into single deliveries, so that the one that kills them is
 * alone; a single one is dead (`internal`), visible and retryable after a fix. The batch's own job then finds nothing left.
 */
export async function splitPoisonBatch(context: Context, batch: IdRange & { id: string }): Promise<void> {
  const { deliveries } = await loadBatch(context.pool, batch.id, batch);
  const [only] = deliveries;
  if (!only) return;
  if (deliveries.length === 1) {
    await failAsPoison(context, only);
    return;
  }
  const { rows } = await context.pool.query<{ id: string; batch: string }>(
    `with numbered as materialized (
       select id, row_number() over (order by id) as number from deliveries
       where state = 'pending' and batch_id = $1 and id between $2 and $3
     )
     update deliveries d set batch_id = batch_id($4, n.number) from numbered n
     where d.id = n.id and d.batch_id = $1 and ${isOneOf("numbered")}
     returning d.id, d.batch_id as batch`,
    [batch.id, batch.from, batch.to, newId()],
  );
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
