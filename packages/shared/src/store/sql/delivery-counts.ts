import { familyRange } from "../../core/ids/id-range.ts";
import type { Queryable } from "../pool.ts";

export interface DeliveryCount {
  /** So far, while the event is expanding. */
  deliveries: number;
  expanding: boolean;
}

interface DeliveryCountRow extends DeliveryCount {
  id: string;
}

/** The range of ids prunes partitions. */
const TEXT = `
  select e.id, coalesce(x.written, e.delivery_count) as deliveries, x.event_id is not null as expanding
  from events e left join expansions x on x.event_id = e.id
  where e.id = any($1::uuid[]) and e.id between $2 and $3`;

/** @returns the number of deliveries per event id, without unknown events */
export async function deliveryCounts(db: Queryable, eventIds: readonly string[]): Promise<Map<string, DeliveryCount>> {
  if (eventIds.length === 0) return new Map();
  const { from, to } = familyRange(eventIds);
  const { rows } = await db.query<DeliveryCountRow>({
    name: "delivery-counts",
    text: TEXT,
    values: [eventIds, from, to],
  });
  return new Map(rows.map(({ id, deliveries, expanding }) => [id, { deliveries, expanding }]));
}
