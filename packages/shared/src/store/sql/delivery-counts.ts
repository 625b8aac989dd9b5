import { familyRange } from "../../core/ids/id-range.ts";
import type { Queryable } from "../pool.ts";

interface DeliveryCountRow {
  id: string;
  count: number;
}

/** The range of ids prunes partitions. */
const TEXT = "select id, delivery_count as count from events where id = any($1::uuid[]) and id between $2 and $3";

/** @returns the number of deliveries per event id, without unknown events */
export async function deliveryCounts(db: Queryable, eventIds: readonly string[]): Promise<Map<string, number>> {
  if (eventIds.length === 0) return new Map();
  const { from, to } = familyRange(eventIds);
  const { rows } = await db.query<DeliveryCountRow>({
    name: "delivery-counts",
    text: TEXT,
    values: [eventIds, from, to],
  });
  return new Map(rows.map(({ id, count }) => [id, count]));
}
