import { firstIdAt } from "../../core/ids/id-range.ts";
import { isOneOf } from "../picked-rows.ts";
import type { Queryable } from "../pool.ts";
import { moveTo } from "../transitions.ts";

export interface ExpiredRow {
  id: string;
  cycle: number;
  eventType: string;
  url: string;
  lastError: string;
}

const text = (limit: number): string => `
  with overdue as materialized (
    select id from deliveries where state = 'held' and id < $2 and held_at < now() - $1 * interval '1 millisecond'
    limit ${limit} for update skip locked
  )
  update deliveries d set ${moveTo("dead", { dead_reason: "'expired'" })},
    last_error = coalesce(d.last_error, 'held for longer than HOLD_LIMIT')
  from subscriptions s
  where s.id = d.subscription_id and ${isOneOf("overdue")}
  returning d.id, d.cycle, d.event_type as "eventType", s.url, d.last_error as "lastError"`;

/**
 * Moves up to `limit` deliveries that have been held for longer than `holdLimitMs` to `dead` (`expired`).
 *
 * @param now Unix milliseconds
 */
export async function expireHeldRows(
  db: Queryable,
  { holdLimitMs, now, limit }: { holdLimitMs: number; now: number; limit: number },
): Promise<ExpiredRow[]> {
  // A delivery is created before it is held, so the bound on the id prunes partitions without overdue deliveries.
  const { rows } = await db.query<ExpiredRow>(text(limit), [holdLimitMs, firstIdAt(now - holdLimitMs)]);
  return rows;
}
