import type { Queryable } from "../pool.ts";
import { countByTenant, type UnfinishedOfTenant } from "../unfinished-page.ts";

const text = (limit: number): string =>
  countByTenant(
    `select tenant, 1 as deliveries, next_attempt_at as at from deliveries
    where state = 'retrying' and next_attempt_at > $1::timestamptz
    order by next_attempt_at fetch first ${limit} rows with ties`,
    limit,
  );

/**
 * Counts the retrying deliveries of each tenant in the next page of about `limit`, in the order of their next attempts.
 *
 * @param after `next` of the page before; undefined for the first page
 */
export async function countRetryingPage(
  db: Queryable,
  after: string | undefined,
  limit: number,
): Promise<UnfinishedOfTenant[]> {
  const { rows } = await db.query<UnfinishedOfTenant>(text(limit), [after ?? "-infinity"]);
  return rows;
}
