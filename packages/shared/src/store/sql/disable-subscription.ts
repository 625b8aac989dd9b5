import type { Queryable } from "../pool.ts";

const TEXT = `
  update subscriptions set status = 'disabled', disabled_reason = $3, updated_at = now()
  where id = $1 and updated_at = $2::timestamptz and status <> 'disabled'`;

/**
 * Disables a subscription. Its deliveries are still created, and held until it is enabled.
 *
 * @param revision the subscription's, as it was loaded for the request that is the reason
 * @returns false if it was already disabled, or was changed since
 */
export async function disableSubscriptionRow(
  db: Queryable,
  id: string,
  revision: string,
  reason: string,
): Promise<boolean> {
  const { rowCount } = await db.query(TEXT, [id, revision, reason]);
  return rowCount === 1;
}
