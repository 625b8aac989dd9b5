import { ALL_SUBSCRIPTIONS, NOT_FOLDED } from "../held-counts.ts";
import type { Queryable } from "../pool.ts";

// One process folds at a time; the others find the row locked and do nothing. Changes of transactions before the
// snapshot's xmin are all visible to this statement, so if it finds fewer than the limit, none of them is left. It
// counts what it finds and not what it takes: another process may have taken some of it since the snapshot.
const text = (limit: number): string => `
  with folded as materialized (
    select is_only from held_folded for update skip locked
  ), found as materialized (
    select c.ctid as at, c.xid from held_changes c where ${NOT_FOLDED} order by c.xid limit ${limit}
  ), taken as (
    delete from held_changes using folded where held_changes.ctid = any (array(select at from found))
    returning subscription_id, reason, change
  ), counted as (
    insert into held_counts as h (subscription_id, reason, deliveries)
    select coalesce(subscription_id, '${ALL_SUBSCRIPTIONS}'), reason, sum(change)
    from taken group by grouping sets ((reason), (subscription_id, reason))
    having sum(change) <> 0
    on conflict (subscription_id, reason) do update set deliveries = h.deliveries + excluded.deliveries
  ), noted as (
    update held_folded f set xid = least(
        pg_snapshot_xmin(pg_current_snapshot()),
        (select max(xid) from found having count(*) = ${limit})
      )
    from folded where f.is_only = folded.is_only
  )
  select count(*)::int as count from taken`;

/**
 * Moves up to `limit` changes from `held_changes` to `held_counts`.
 *
 * @returns how many; 0 also where another process does it
 */
export async function foldHeldChangeRows(db: Queryable, limit: number): Promise<number> {
  const { rows } = await db.query<{ count: number }>(text(limit));
  return rows[0]!.count;
}
