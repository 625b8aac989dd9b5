import type { Queryable } from "../pool.ts";

const TEXT = `
  with disabled as (
    update subscriptions set status = 'disabled', disabled_reason = $3, updated_at = now()
    where id = $1 and updated_at = $2::timestamptz and status <> 'disabled' returning 1
  )
  select case when exists (select from disabled) then 'disabled' when status = 'disabled' then 'was_disabled'
    else 'changed' end as result
  from subscriptions where id = $1`;

/**
 * Disables a subscription, unless it was changed. Its deliveries are still created, and held until it is enabled.
 *
 * @param revision the subscription's, as it was loaded for the request that is the reason
 */
export async function disableSubscriptionRow(
  db: Queryable,
  id: string,
  revision: string,
  reason: string,
): Promise<"disabled" | "was_disabled" | "changed"> {
  const { rows } = await db.query<{ result: "disabled" | "was_disabled" }>(TEXT, [id, revision, reason]);
  return rows[0]?.result ?? "changed";
}
