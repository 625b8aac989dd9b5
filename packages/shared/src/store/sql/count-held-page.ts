import { ALL_SUBSCRIPTIONS } from "../held-counts.ts";
import type { Queryable } from "../pool.ts";
import { countByTenant, type UnfinishedOfTenant } from "../unfinished-page.ts";

const text = (limit: number): string =>
  countByTenant(
    `select (select tenant from subscriptions where id = h.subscription_id) as tenant, deliveries, subscription_id as at
    from held_counts h where subscription_id > $1 order by subscription_id fetch first ${limit} rows with ties`,
    limit,
  );

/**
 * Counts the held deliveries of each tenant by the kept counts of the next subscriptions, about `limit` of them. Changes
 * that are not folded yet, a few seconds old, are left out.
 *
 * @param after `next` of the page before; undefined for the first page
 */
export async function countHeldPage(
  db: Queryable,
  after: string | undefined,
  limit: number,
): Promise<UnfinishedOfTenant[]> {
  const { rows } = await db.query<UnfinishedOfTenant>(text(limit), [after ?? ALL_SUBSCRIPTIONS]);
  return rows;
}
