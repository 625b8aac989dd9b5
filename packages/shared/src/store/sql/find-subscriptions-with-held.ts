import type { Queryable } from "../pool.ts";

export interface SubscriptionWithHeld {
  id: string;
  /** Whether a release job has work: it releases for an active subscription, and cancels for a deleted one. */
  isReleasable: boolean;
}

const NIL = "00000000-0000-0000-0000-000000000000";

// A loose index scan: it steps from one subscription to the next and does not read every held delivery.
const text = (limit: number): string => `
  with recursive holding (id, n) as (
    (select subscription_id, 1 from deliveries where state = 'held' and subscription_id > $1
     order by subscription_id limit 1)
    union all
    select (select d.subscription_id from deliveries d where d.state = 'held' and d.subscription_id > h.id
            order by d.subscription_id limit 1), n + 1
    from holding h where h.id is not null and n < ${limit}
  )
  select h.id, s.id is null or s.status = 'active' or s.deleted_at is not null as "isReleasable"
  from holding h left join subscriptions s on s.id = h.id where h.id is not null order by h.id`;

/**
 * Finds up to `limit` subscriptions with held deliveries, in the order of their ids.
 *
 * @param after the last row of the previous page; undefined for the first page
 */
export async function findSubscriptionsWithHeld(
  db: Queryable,
  after: Pick<SubscriptionWithHeld, "id"> | undefined,
  limit: number,
): Promise<SubscriptionWithHeld[]> {
  const { rows } = await db.query<SubscriptionWithHeld>(text(limit), [after?.id ?? NIL]);
  return rows;
}
