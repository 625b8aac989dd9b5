import { NO_POSITION, type HeldPosition } from "../held-position.ts";
import type { Queryable } from "../pool.ts";

/** The next delivery to probe with is one of this many longest held ones. */
const CANDIDATES = 100;

// There is one probe per cooldown, so few deliveries are marked. The second select covers the case that all are.
const TEXT = `
  select coalesce(
    (select id from (
       select id, held_at, attempt_count from deliveries
       where state = 'held' and subscription_id = $1 and probed_at is null
         and (held_at, id) > ($2::timestamptz, $3::uuid)
       order by held_at, id limit ${CANDIDATES}
     ) longest order by attempt_count > 0, held_at, id limit 1),
    (select id from deliveries where state = 'held' and subscription_id = $1 order by probed_at nulls first, id limit 1)
  ) as id`;

/**
 * Chooses the held delivery that was probed with longest ago. Of several deliveries without a probe it prefers one
 * without an attempt, because a failed delivery may itself be the cause of its failure, then the longest held.
 *
 * @param after deliveries up to this position are left out, unless all after it have been probed with
 * @returns its id, or undefined if no delivery is held
 */
export async function nextToProbeWith(
  db: Queryable,
  subscriptionId: string,
  after: HeldPosition = NO_POSITION,
): Promise<string | undefined> {
  const { rows } = await db.query<{ id: string | null }>({
    name: "next-to-probe-with",
    text: TEXT,
    values: [subscriptionId, after.heldAt, after.id],
  });
  return rows[0]?.id ?? undefined;
}
