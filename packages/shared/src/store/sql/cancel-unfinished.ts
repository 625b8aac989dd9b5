import { NO_POSITION, type HeldPosition } from "../held-position.ts";
import { isOneOf } from "../picked-rows.ts";
import type { Queryable } from "../pool.ts";
import { moveTo } from "../transitions.ts";

const CANCEL = `update deliveries d set ${moveTo("cancelled", {})} where ${isOneOf("unfinished")}`;

const HELD = `
  with unfinished as materialized (
    select id, held_at from deliveries where state = 'held' and subscription_id = $1
      and (held_at, id) > ($3::timestamptz, $4::uuid)
    order by held_at, id limit $2 for update skip locked
  ), cancelled as (
    ${CANCEL} returning d.id
  )
  select held_at::text as "heldAt", id, (select count(*) from cancelled)::int as count
  from unfinished order by held_at desc, id desc limit 1`;

const RETRYING = `
  with unfinished as materialized (
    select id from deliveries where state = 'retrying' and subscription_id = $1 for update skip locked
  )
  ${CANCEL}`;

/** How many were cancelled, and the position of the last one. */
export type CancelledPage = HeldPosition & { count: number };

/**
 * Cancels up to `limit` held deliveries of a subscription, longest held first.
 *
 * @param after the page before: walks no index entries up to there, which vacuum may not have been able to remove
 * @returns undefined where there are none
 */
export async function cancelHeldRows(
  db: Queryable,
  subscriptionId: string,
  limit: number,
  after: HeldPosition | undefined,
): Promise<CancelledPage | undefined> {
  const { heldAt, id } = after ?? NO_POSITION;
  const values = [subscriptionId, limit, heldAt, id];
  const { rows } = await db.query<CancelledPage>({ name: "cancel-held", text: HELD, values });
  return rows[0];
}

/**
 * Cancels the retrying deliveries of a subscription: all at once, because no index finds them, so every page would walk
 * all that are retrying.
 *
 * @returns how many
 */
export async function cancelRetryingRows(db: Queryable, subscriptionId: string): Promise<number> {
  const { rowCount } = await db.query({ name: "cancel-retrying", text: RETRYING, values: [subscriptionId] });
  return rowCount ?? 0;
}
