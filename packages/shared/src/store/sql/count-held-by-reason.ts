import type { HeldReason } from "../../core/delivery/states.ts";
import type { Queryable } from "../pool.ts";

export interface HeldCount {
  reason: HeldReason;
  deliveries: number;
}

/** Bounds the cost of a large backlog for callers that count every few seconds. */
const MAX_COUNTED = 1_000_000;

const TEXT = `
  select held_reason as reason, count(*)::int as deliveries
  from (select held_reason from deliveries where state = 'held' limit ${MAX_COUNTED}) held group by held_reason`;

/** Counts held deliveries by reason, up to a million in all. */
export async function countHeldByReason(db: Queryable): Promise<HeldCount[]> {
  const { rows } = await db.query<HeldCount>(TEXT);
  return rows;
}
