import type { Queryable } from "../pool.ts";

const TEXT = "select pg_advisory_xact_lock(hashtextextended('subscriptions of ' || $1, 0))";

/** Until the end of the transaction, no other one counts the tenant's subscriptions in order to add one. */
export async function lockSubscriptions(db: Queryable, tenant: string): Promise<void> {
  await db.query({ name: "lock-subscriptions", text: TEXT, values: [tenant] });
}
