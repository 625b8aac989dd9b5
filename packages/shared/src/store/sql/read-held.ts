import type { HeldReason } from "../../core/delivery/states.ts";
import { keptCounts } from "../held-counts.ts";
import { NO_POSITION, type HeldPosition } from "../held-position.ts";
import type { Queryable } from "../pool.ts";

export interface HeldRow {
  subscriptionId: string;
  reason: HeldReason;
  count: number;
  /** `held_at` of the subscription's longest held delivery, for any reason; null if it is before the given position. */
  oldestAt: Date | null;
  /** The same delivery. */
  oldest: HeldPosition | null;
}

const TEXT = `
  select h.id as "subscriptionId", h.reason, h.count::int, d.held_at as "oldestAt",
    case when d.id is not null then json_build_object('heldAt', d.held_at::text, 'id', d.id) end as oldest
  from (
    select subscription_id as id, reason, sum(deliveries) as count
    from (${keptCounts("= any ($1::uuid[])")}) counts
    group by subscription_id, reason having sum(deliveries) > 0
  ) h join unnest($1::uuid[], $2::timestamptz[], $3::uuid[]) asked (id, held_at, from_id) using (id)
  left join lateral (
    select held_at, id from deliveries
    where state = 'held' and subscription_id = h.id and (held_at, id) >= (asked.held_at, asked.from_id)
    order by held_at, id limit 1
  ) d on true`;

/**
 * Reads how many deliveries of the subscriptions are held: one row per subscription and reason.
 *
 * @param from by subscription, where its longest held delivery was found before: it walks no index entries before that,
 * which vacuum may not have been able to remove
 */
export async function readHeld(
  db: Queryable,
  subscriptionIds: readonly string[],
  from: ReadonlyMap<string, HeldPosition> = new Map(),
): Promise<HeldRow[]> {
  if (subscriptionIds.length === 0) return [];
  const positions = subscriptionIds.map((id) => from.get(id) ?? NO_POSITION);
  const values = [subscriptionIds, positions.map(({ heldAt }) => heldAt), positions.map(({ id }) => id)];
  const { rows } = await db.query<HeldRow>({ name: "read-held", text: TEXT, values });
  return rows;
}
