import { keptCounts } from "../held-counts.ts";
import type { Queryable } from "../pool.ts";

const TEXT = `
  select from subscriptions s where id = $1 and (status = 'active' or deleted_at is not null)
    and (select sum(deliveries) from (${keptCounts("= $1")}) counts) > 0`;

/** Whether a subscription has held deliveries that a release job can release or cancel. */
export async function hasReleasable(db: Queryable, subscriptionId: string): Promise<boolean> {
  const { rowCount } = await db.query({ name: "has-releasable", text: TEXT, values: [subscriptionId] });
  return rowCount === 1;
}
