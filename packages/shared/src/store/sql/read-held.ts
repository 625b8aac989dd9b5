import type { HeldReason } from "../../core/delivery/states.ts";
import { NOT_FOLDED } from "../held-counts.ts";
import type { Queryable } from "../pool.ts";

export interface HeldRow {
  subscriptionId: string;
  reason: HeldReason;
  count: number;
  /** `held_at` of the subscription's longest held delivery, for any reason. */
  oldestAt: Date;
}

const TEXT = `
  select h.id as "subscriptionId", h.reason, h.count::int, oldest.at as "oldestAt"
  from (
    select id, reason, sum(deliveries) as count
    from (
      select subscription_id as id, reason, deliveries from held_counts where subscription_id = any ($1::uuid[])
      union all
      select c.subscription_id, c.reason, c.change from held_changes c
      where ${NOT_FOLDED} and c.subscription_id = any ($1::uuid[])
    ) counted
    group by id, reason having sum(deliveries) > 0
  ) h cross join lateral (
    select d.held_at as at from deliveries d where d.state = 'held' and d.subscription_id = h.id
    order by d.held_at limit 1
  ) oldest`;

/** Reads how many deliveries of the subscriptions are held: one row per subscription and reason. */
export async function readHeld(db: Queryable, subscriptionIds: readonly string[]): Promise<HeldRow[]> {
  if (subscriptionIds.length === 0) return [];
  const { rows } = await db.query<HeldRow>({ name: "read-held", text: TEXT, values: [subscriptionIds] });
  return rows;
}
