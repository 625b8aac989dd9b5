import type { Queryable } from "../pool.ts";

const TEXT = "update subscriptions set failing_since = null where id = $1 and failing_since is not null";

/** Ends a subscription's outage. */
export async function clearOutage(db: Queryable, subscriptionId: string): Promise<void> {
  await db.query({ name: "clear-outage", text: TEXT, values: [subscriptionId] });
}
