import type { Queryable } from "../pool.ts";
import { matching } from "./matching.ts";

const TEXT = `
  with picked as materialized (
    select * from expansions where event_id < $1 and ($2::text is null or tenant = $2)
    order by event_id limit 1 for update
  ), ended as (
    delete from expansions where event_id = any (array(select event_id from picked))
  ), counted as (
    update events e set delivery_count = (select written from picked) where e.id = (select event_id from picked)
  )
  select (select count(*)::int from (${matching({
    tenant: "p.tenant",
    patterns: "p.patterns",
    limit: "null",
    from: { after: "p.last_subscription", createdUntil: "p.accepted_at" },
  })}) unwritten) as unwritten
  from picked p`;

/**
 * Ends the expansion of the oldest event before `before`, of one tenant or of all: its further deliveries are never written.
 *
 * @returns how many these would have been by now; undefined if there is no such expansion
 */
export async function endOldestExpansion(
  db: Queryable,
  before: string,
  tenant: string | null = null,
): Promise<number | undefined> {
  const { rows } = await db.query<{ unwritten: number }>(TEXT, [before, tenant]);
  return rows[0]?.unwritten;
}
