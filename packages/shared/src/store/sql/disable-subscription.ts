import type { Queryable } from "../pool.ts";

const TEXT = `
  update subscriptions set status = 'disabled', disabled_reason = $2, updated_at = now()
  where id = $1 and status <> 'disabled'`;

/**
 * Disables a subscription. Its deliveries are still created, and held until it is enabled.
 *
 * @returns false if it was already disabled
 */
export async function disableSubscriptionRow(db: Queryable, id: string, reason: string): Promise<boolean> {
  const { rowCount } = await db.query(TEXT, [id, reason]);
  return rowCount === 1;
}
