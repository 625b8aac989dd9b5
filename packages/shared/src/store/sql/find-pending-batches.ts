import { MIN_ID } from "../../core/ids/id-range.ts";
import type { Queryable } from "../pool.ts";

/** The pending deliveries of a batch: their number, their smallest and their largest id. */
export interface PendingBatch {
  batch: string;
  size: number;
  from: string;
  to: string;
}

const text = (limit: number): string => `
  select batch_id as batch, count(*)::int as size, min(id::text) as "from", max(id::text) as "to"
  from deliveries where state = 'pending' and batch_id > $1 group by batch_id order by batch_id limit ${limit}`;

/**
 * Finds up to `limit` batches with pending deliveries, in the order of their ids.
 *
 * @param after the last row of the previous page; undefined for the first page
 */
export async function findPendingBatches(
  db: Queryable,
  after: Pick<PendingBatch, "batch"> | undefined,
  limit: number,
): Promise<PendingBatch[]> {
  const { rows } = await db.query<PendingBatch>(text(limit), [after?.batch ?? MIN_ID]);
  return rows;
}
