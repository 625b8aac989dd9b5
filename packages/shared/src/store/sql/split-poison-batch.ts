import type { IdRange } from "../../core/ids/id-range.ts";
import { isOneOf } from "../picked-rows.ts";
import type { Queryable } from "../pool.ts";

interface SplitRow {
  /** The delivery. */
  id: string;
  /** Its new batch. */
  batch: string;
}

// Changes neither the state, `pending`, nor `held_at` of a released delivery.
const TEXT = `
  with numbered as materialized (
    select id, row_number() over (order by id) as number from deliveries
    where state = 'pending' and batch_id = $1 and id between $2 and $3
  )
  update deliveries d set batch_id = batch_id($4, n.number) from numbered n
  where d.id = n.id and d.batch_id = $1 and ${isOneOf("numbered")}
  returning d.id, d.batch_id as batch`;

/**
 * Moves every pending delivery of a batch to a batch of its own.
 *
 * @param newId a new id; the ids of the new batches are derived from it
 */
export async function splitPoisonBatchRows(
  db: Queryable,
  { id, from, to }: { id: string } & IdRange,
  newId: string,
): Promise<SplitRow[]> {
  const { rows } = await db.query<SplitRow>(TEXT, [id, from, to, newId]);
  return rows;
}
