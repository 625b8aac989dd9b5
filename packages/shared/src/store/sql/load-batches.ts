import type { IdRange } from "../../core/ids/id-range.ts";
import type { Queryable } from "../pool.ts";
import { DELIVERY_COLUMNS, FIRST_SLICE_BODY, joinEvent, type DeliveryRow } from "./delivery-row.ts";

/** A delivery and the batch that it was loaded with. */
export interface BatchRow extends DeliveryRow {
  batchId: string;
}

// `offset 0` makes it one index scan per batch. A join might scan all deliveries between $2 and $3.
const TEXT = `
  select ${DELIVERY_COLUMNS}, d.batch_id as "batchId", ${FIRST_SLICE_BODY}
  from unnest($1::uuid[]) b (id)
  cross join lateral (
    select * from deliveries where state = 'pending' and batch_id = b.id and id between $2 and $3 offset 0
  ) d ${joinEvent()}
  order by d.id`;

/**
 * Loads the deliveries of batches that are still pending, so a batch that runs again skips the finished ones.
 *
 * @param range of the ids of all their deliveries
 * @param bodiless subscriptions whose deliveries are loaded without their bodies
 */
export async function loadBatchesRows(
  db: Queryable,
  batchIds: readonly string[],
  { from, to }: IdRange,
  bodiless: readonly string[] = [],
): Promise<BatchRow[]> {
  const { rows } = await db.query<BatchRow>({
    name: "load-batches",
    text: TEXT,
    values: [batchIds, from, to, bodiless],
  });
  return rows;
}
