import type { Queryable } from "../pool.ts";

const TEXT = `
  update subscriptions set failing_since = coalesce(failing_since, now()),
    status = case when expired then 'disabled' else status end,
    disabled_reason = case when expired then 'failing' else disabled_reason end,
    updated_at = case when expired then now() else updated_at end
  from (
    select id as found, status = 'active' and failing_since <= now() - $2 * interval '1 millisecond' is true as expired
    from subscriptions where id = $1 for update
  ) judged
  where id = found
  returning expired as disabled`;

/**
 * Starts a subscription's outage unless it has one, and disables the subscription when its outage has lasted for
 * `disableAfterMs`.
 *
 * @returns whether this call disabled it
 */
export async function startOutage(db: Queryable, subscriptionId: string, disableAfterMs: number): Promise<boolean> {
  const { rows } = await db.query<{ disabled: boolean }>({
    name: "start-outage",
    text: TEXT,
    values: [subscriptionId, disableAfterMs],
  });
  return rows[0]?.disabled ?? false;
}
