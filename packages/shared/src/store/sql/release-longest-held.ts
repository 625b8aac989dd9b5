import { firstBatchNumber, RELEASED } from "../../core/ids/batch-id.ts";
import { NO_POSITION, type HeldPosition } from "../held-position.ts";
import { isOneOf } from "../picked-rows.ts";
import type { Queryable } from "../pool.ts";
import { moveTo } from "../transitions.ts";

export interface ReleasedRow extends HeldPosition {
  batch: string;
  /** Its place among the released ones, from 1, longest held first. */
  place: number;
}

interface Released {
  count: number;
  batchSize: number;
  batchStem: string;
  after?: HeldPosition | undefined;
}

// `held_at` stays: a delivery that is held again without an attempt keeps its place and its expiry.
const TEXT = `
  with longest as materialized (
    select id, held_at from deliveries where state = 'held' and subscription_id = $1
      and (held_at, id) > ($5::timestamptz, $6::uuid)
    order by held_at, id limit $2 for update skip locked
  ), numbered as (
    select id, place, batch_id($3, ${firstBatchNumber(RELEASED)} + (place - 1) / $4) as batch
    from (select id, row_number() over (order by held_at, id) as place from longest) placed
  )
  update deliveries d set ${moveTo("pending", { batch_id: "n.batch", held_at: "d.held_at" })}
  from numbered n where d.id = n.id and ${isOneOf("longest")}
  returning d.id, d.held_at::text as "heldAt", d.batch_id as batch, n.place::int`;

/**
 * Moves the longest held deliveries of a subscription to `pending`, in new batches.
 *
 * @param after walks no index entries up to this position, which vacuum may not have been able to remove
 * @param batchStem a new UUIDv7; the ids of the batches are derived from it
 * @returns the deliveries, in no particular order
 */
export async function releaseLongestHeldRows(
  db: Queryable,
  subscriptionId: string,
  { count, batchSize, batchStem, after }: Released,
): Promise<ReleasedRow[]> {
  const { heldAt, id } = after ?? NO_POSITION;
  const values = [subscriptionId, count, batchStem, batchSize, heldAt, id];
  const { rows } = await db.query<ReleasedRow>({ name: "release-longest-held", text: TEXT, values });
  return rows;
}
