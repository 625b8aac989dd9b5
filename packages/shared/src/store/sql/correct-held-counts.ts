import type { QueryConfig } from "pg";
import { ALL_SUBSCRIPTIONS, keptCounts } from "../held-counts.ts";
import type { Queryable } from "../pool.ts";

const EXCESS = `sum(case when subscription_id = '${ALL_SUBSCRIPTIONS}' then -deliveries else deliveries end)`;

// One statement, so that deliveries and counts are of one snapshot. Corrections are changes like any other.
const TEXT = `
  with counted as (
    select subscription_id, held_reason as reason, count(*)::int as deliveries
    from deliveries where state = 'held' group by subscription_id, held_reason
  ), kept as (
    select subscription_id, reason, sum(deliveries)::int as deliveries
    from (${keptCounts(`<> '${ALL_SUBSCRIPTIONS}'`)}) counts group by subscription_id, reason
  ), corrected as (
    insert into held_changes (xid, subscription_id, reason, change)
    select pg_current_xact_id(), subscription_id, reason, coalesce(c.deliveries, 0) - coalesce(k.deliveries, 0)
    from counted c full join kept k using (subscription_id, reason)
    where coalesce(c.deliveries, 0) <> coalesce(k.deliveries, 0)
    returning change
  ), totals as (
    insert into held_counts as h (subscription_id, reason, deliveries)
    select '${ALL_SUBSCRIPTIONS}', reason, ${EXCESS} from held_counts group by reason having ${EXCESS} <> 0
    on conflict (subscription_id, reason) do update set deliveries = h.deliveries + excluded.deliveries
  )
  select coalesce(sum(abs(change)), 0)::int as deliveries from corrected`;

/** Corrects the kept counts to the number of held deliveries. @returns by how many deliveries they were wrong */
export async function correctHeldCounts(db: Queryable, timeoutMs: number): Promise<number> {
  const query: QueryConfig & { query_timeout: number } = { text: TEXT, values: [], query_timeout: timeoutMs };
  const { rows } = await db.query<{ deliveries: number }>(query);
  return rows[0]!.deliveries;
}
