import type { HeldReason } from "../../core/delivery/states.ts";
import type { Queryable } from "../pool.ts";

export interface HeldRow {
  subscriptionId: string;
  reason: HeldReason;
  count: number;
  /** `held_at` of the subscription's longest held delivery, for any reason. */
  oldestAt: Date;
}

/** Deliveries that are counted of one subscription. A page of 200 subscriptions then takes a second at most. */
export const MAX_HELD_COUNTED = 10_000;

const TEXT = `
  select s.id as "subscriptionId", h.reason, h.count,
    (
      select d.held_at from deliveries d where d.state = 'held' and d.subscription_id = s.id
      order by d.held_at limit 1
    ) as "oldestAt"
  from unnest($1::uuid[]) as s (id) cross join lateral (
    select counted.reason, count(*)::int as count from (
      select d.held_reason as reason from deliveries d
      where d.state = 'held' and d.subscription_id = s.id limit ${MAX_HELD_COUNTED}
    ) counted group by counted.reason
  ) h`;

/** Counts the held deliveries of subscriptions, up to a maximum each: one row per subscription and reason. */
export async function readHeld(db: Queryable, subscriptionIds: readonly string[]): Promise<HeldRow[]> {
  if (subscriptionIds.length === 0) return [];
  const { rows } = await db.query<HeldRow>({ name: "read-held", text: TEXT, values: [subscriptionIds] });
  return rows;
}
