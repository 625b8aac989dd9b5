import type { Queryable } from "../pool.ts";

const TEXT = `
  select from subscriptions s where id = $1 and (status = 'active' or deleted_at is not null)
    and exists (select from deliveries d where d.state = 'held' and d.subscription_id = s.id)`;

/** Whether a subscription has held deliveries that a release job can release or cancel. */
export async function hasReleasable(db: Queryable, subscriptionId: string): Promise<boolean> {
  const { rowCount } = await db.query({ name: "has-releasable", text: TEXT, values: [subscriptionId] });
  return rowCount === 1;
}
