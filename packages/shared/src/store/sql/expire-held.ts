import { firstIdAt } from "../../core/ids/id-range.ts";
import { MIN_ID } from "../../core/ids/id-range.ts";
import { NO_POSITION, type HeldPosition } from "../held-position.ts";
import { isOneOf } from "../picked-rows.ts";
import type { Queryable } from "../pool.ts";
import { moveTo } from "../transitions.ts";

/** Where the next page begins. */
type Place = HeldPosition & { subscriptionId: string };

export interface ExpiredRow {
  id: string;
  cycle: number;
  eventType: string;
  url: string;
  lastError: string;
  /** Of the last row that the statement found. */
  last: Place;
}

interface Overdue {
  holdLimitMs: number;
  now: number;
  limit: number;
  after?: Place | undefined;
}

const text = (limit: number): string => `
  with overdue as materialized (
    select id, subscription_id, held_at from deliveries
    where state = 'held' and id < $2 and held_at < now() - $1 * interval '1 millisecond'
      and (subscription_id, held_at, id) > ($3::uuid, $4::timestamptz, $5::uuid)
    order by subscription_id, held_at, id limit ${limit} for update skip locked
  ), expired as (
    update deliveries d set ${moveTo("dead", { dead_reason: "'expired'" })},
      last_error = coalesce(d.last_error, 'held for longer than HOLD_LIMIT')
    from subscriptions s
    where s.id = d.subscription_id and ${isOneOf("overdue")}
    returning d.id, d.cycle, d.event_type as "eventType", s.url, d.last_error as "lastError"
  )
  select expired.*, last.place as last
  from expired cross join (
    select json_build_object('subscriptionId', subscription_id, 'heldAt', held_at::text, 'id', id) as place
    from overdue order by subscription_id desc, held_at desc, id desc limit 1
  ) last`;

/**
 * Moves up to `limit` deliveries that have been held for longer than `holdLimitMs` to `dead` (`expired`).
 *
 * @param after the place of the page before: a run walks every index entry once, also where vacuum cannot remove it
 * @param now Unix milliseconds
 */
export async function expireHeldRows(
  db: Queryable,
  { holdLimitMs, now, limit, after }: Overdue,
): Promise<ExpiredRow[]> {
  const { subscriptionId, heldAt, id } = after ?? { ...NO_POSITION, subscriptionId: MIN_ID };
  // A delivery is created before it is held, so the bound on the id prunes partitions without overdue deliveries.
  const { rows } = await db.query<ExpiredRow>(text(limit), [
    holdLimitMs,
    firstIdAt(now - holdLimitMs),
    subscriptionId,
    heldAt,
    id,
  ]);
  return rows;
}
