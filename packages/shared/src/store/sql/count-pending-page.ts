import { MIN_ID } from "../../core/ids/id-range.ts";
import type { Queryable } from "../pool.ts";
import { countByTenant, type UnfinishedOfTenant } from "../unfinished-page.ts";

const text = (limit: number): string =>
  countByTenant(
    `select tenant, 1 as deliveries, batch_id as at from deliveries
    where state = 'pending' and batch_id > $1 order by batch_id fetch first ${limit} rows with ties`,
    limit,
  );

/**
 * Counts the pending deliveries of each tenant in the next page of about `limit`, in the order of their batches.
 *
 * @param after `next` of the page before; undefined for the first page
 */
export async function countPendingPage(
  db: Queryable,
  after: string | undefined,
  limit: number,
): Promise<UnfinishedOfTenant[]> {
  const { rows } = await db.query<UnfinishedOfTenant>(text(limit), [after ?? MIN_ID]);
  return rows;
}
