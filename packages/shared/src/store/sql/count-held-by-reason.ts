import type { HeldReason } from "../../core/delivery/states.ts";
import { ALL_SUBSCRIPTIONS, NOT_FOLDED } from "../held-counts.ts";
import type { Queryable } from "../pool.ts";

export interface HeldCount {
  reason: HeldReason;
  deliveries: number;
}

const TEXT = `
  select reason, sum(deliveries)::int as deliveries
  from (
    select reason, deliveries from held_counts where subscription_id = '${ALL_SUBSCRIPTIONS}'
    union all
    select c.reason, c.change from held_changes c where ${NOT_FOLDED}
  ) counted
  group by reason having sum(deliveries) > 0`;

/** Counts held deliveries by reason. */
export async function countHeldByReason(db: Queryable): Promise<HeldCount[]> {
  const { rows } = await db.query<HeldCount>({ name: "count-held-by-reason", text: TEXT, values: [] });
  return rows;
}
