import { firstBatchNumber, RELEASED } from "../../core/ids/batch-id.ts";
import { isOneOf } from "../picked-rows.ts";
import type { Queryable } from "../pool.ts";
import { moveTo } from "../transitions.ts";

export interface ReleasedRow {
  id: string;
  batch: string;
}

// `held_at` stays: a delivery that is held again without an attempt keeps its place and its expiry.
const TEXT = `
  with longest as materialized (
    select id, held_at from deliveries where state = 'held' and subscription_id = $1
    order by held_at, id limit $2 for update skip locked
  ), numbered as (
    select id,
      batch_id($3, ${firstBatchNumber(RELEASED)} + (row_number() over (order by held_at, id) - 1) / $4) as batch
    from longest
  )
  update deliveries d set ${moveTo("pending", { batch_id: "n.batch", held_at: "d.held_at" })}
  from numbered n where d.id = n.id and ${isOneOf("longest")}
  returning d.id, d.batch_id as batch`;

/**
 * Moves the longest held deliveries of a subscription to `pending`, in new batches.
 *
 * @param batchStem a new UUIDv7; the ids of the batches are derived from it
 * @returns the deliveries, in no particular order
 */
export async function releaseLongestHeldRows(
  db: Queryable,
  subscriptionId: string,
  { count, batchSize, batchStem }: { count: number; batchSize: number; batchStem: string },
): Promise<ReleasedRow[]> {
  const values = [subscriptionId, count, batchStem, batchSize];
  const { rows } = await db.query<ReleasedRow>({ name: "release-longest-held", text: TEXT, values });
  return rows;
}
