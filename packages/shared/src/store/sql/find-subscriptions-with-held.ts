import { ALL_SUBSCRIPTIONS, keptCounts, NOT_FOLDED } from "../held-counts.ts";
import type { Queryable } from "../pool.ts";

export interface SubscriptionWithHeld {
  id: string;
  /** Whether a release job has work: it releases for an active subscription, and cancels for a deleted one. */
  isReleasable: boolean;
}

// By the kept counts: the index of held deliveries may have millions of entries that vacuum cannot remove yet.
const text = (limit: number): string => `
  with page as materialized (
    select id from (
      (select distinct subscription_id as id from held_counts
       where subscription_id > $1 and deliveries > 0 order by subscription_id limit ${limit})
      union
      (select distinct c.subscription_id from held_changes c
       where ${NOT_FOLDED} and c.subscription_id > $1 order by c.subscription_id limit ${limit})
    ) either order by id limit ${limit}
  ), held as (
    select subscription_id as id, sum(deliveries) as deliveries
    from (${keptCounts("= any (array(select id from page))")}) counts group by subscription_id
  )
  select page.id, held.deliveries > 0 and (s.id is null or s.status = 'active' or s.deleted_at is not null)
      as "isReleasable"
  from page join held using (id) left join subscriptions s using (id) order by page.id`;

/**
 * Finds up to `limit` subscriptions that have, or had a moment ago, held deliveries, in the order of their ids.
 *
 * @param after the last row of the previous page; undefined for the first page
 */
export async function findSubscriptionsWithHeld(
  db: Queryable,
  after: Pick<SubscriptionWithHeld, "id"> | undefined,
  limit: number,
): Promise<SubscriptionWithHeld[]> {
  const { rows } = await db.query<SubscriptionWithHeld>(text(limit), [after?.id ?? ALL_SUBSCRIPTIONS]);
  return rows;
}
