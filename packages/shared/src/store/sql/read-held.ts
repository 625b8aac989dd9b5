import type { HeldReason } from "../../core/delivery/states.ts";
import { keptCounts } from "../held-counts.ts";
import { NO_POSITION } from "../held-position.ts";
import type { Queryable } from "../pool.ts";

export interface HeldRow {
  subscriptionId: string;
  reason: HeldReason;
  count: number;
  /** `held_at` of the subscription's longest held delivery, for any reason; null if it is before the given one. */
  oldestAt: Date | null;
  /** The same as Postgres prints it. */
  oldestPlace: string | null;
}

const TEXT = `
  select h.id as "subscriptionId", h.reason, h.count::int, oldest.at as "oldestAt", oldest.at::text as "oldestPlace"
  from (
    select subscription_id as id, reason, sum(deliveries) as count
    from (${keptCounts("= any ($1::uuid[])")}) counts
    group by subscription_id, reason having sum(deliveries) > 0
  ) h join unnest($1::uuid[], $2::timestamptz[]) asked (id, since) using (id) left join lateral (
    select d.held_at as at from deliveries d
    where d.state = 'held' and d.subscription_id = h.id and d.held_at >= asked.since
    order by d.held_at limit 1
  ) oldest on true`;

/**
 * Reads how many deliveries of the subscriptions are held: one row per subscription and reason.
 *
 * @param since by subscription, where its longest held delivery was found before: it walks no index entries up to
 * there, which vacuum may not have been able to remove
 */
export async function readHeld(
  db: Queryable,
  subscriptionIds: readonly string[],
  since: ReadonlyMap<string, string> = new Map(),
): Promise<HeldRow[]> {
  if (subscriptionIds.length === 0) return [];
  const places = subscriptionIds.map((id) => since.get(id) ?? NO_POSITION.heldAt);
  const { rows } = await db.query<HeldRow>({ name: "read-held", text: TEXT, values: [subscriptionIds, places] });
  return rows;
}
