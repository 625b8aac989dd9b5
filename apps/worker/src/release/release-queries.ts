import { firstBatchNumber, RELEASED } from "@postrider/shared/core/ids/batch-id.ts";
import { familyRange } from "@postrider/shared/core/ids/id-range.ts";
import type { DeliveryState, SubscriptionStatus } from "@postrider/shared/core/delivery/states.ts";
import { isOneOf } from "@postrider/shared/store/picked-rows.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import type { Context } from "../context.ts";

const MAX_BATCH = 100;

/** What a subscription may take, as its row says. */
interface Budget {
  state: SubscriptionStatus | "deleted";
  rateLimit: number | null;
  maxInFlight: number;
}

export async function readBudget({ pool }: Context, subscriptionId: string): Promise<Budget> {
  const { rows } = await pool.query<Budget>({
    name: "read-budget",
    text: `select case when deleted_at is null then status else 'deleted' end as state, rate_limit as "rateLimit",
             max_in_flight as "maxInFlight" from subscriptions where id = $1`,
    values: [subscriptionId],
  });
  return rows[0] ?? { state: "deleted", rateLimit: null, maxInFlight: 1 };
}

/**
 * Takes out of `onItsWay` what is there no more.
 *
 * @returns how many were attempted or settled, and how many were held again
 */
export async function whereAre(
  { pool }: Context,
  onItsWay: Set<string>,
): Promise<{ through: number; cameBack: number }> {
  if (onItsWay.size === 0) return { through: 0, cameBack: 0 };
  const ids = [...onItsWay];
  const { from, to } = familyRange(ids);
  const { rows } = await pool.query<{ id: string; state: DeliveryState }>({
    name: "where-are",
    text: "select id, state from deliveries where id = any ($1::uuid[]) and id between $2 and $3 and state in ('pending', 'held')",
    values: [ids, from, to],
  });
  onItsWay.clear();
  for (const { id, state } of rows) if (state === "pending") onItsWay.add(id);
  const cameBack = rows.filter(({ state }) => state === "held").length;
  return { through: ids.length - rows.length, cameBack };
}

/**
 * Puts the deliveries of a subscription that have been held for longest back on the dispatch lane. One that failed and came due
 * while the breaker was open was held last: what the subscriber refuses again and again does not stand before what it would take.
 *
 * @param maxInFlight no batch is larger, because a batch goes to one worker
 * @returns their ids
 */
export async function releaseLongestHeld(
  { pool, enqueue }: Context,
  subscriptionId: string,
  count: number,
  maxInFlight: number,
): Promise<string[]> {
  const { rows } = await pool.query<{ id: string; batch: string }>({
    name: "release-longest-held",
    // `held_at` stays: a delivery that is held again without an attempt has been held since then.
    text: `
      with longest as materialized (
        select id, held_at from deliveries where state = 'held' and subscription_id = $1 order by held_at, id limit $2 for update skip locked
      ), numbered as (
        select id, batch_id($3, ${firstBatchNumber(RELEASED)} + (row_number() over (order by held_at, id) - 1) / $4) as batch from longest
      )
      update deliveries d set state = 'pending', batch_id = n.batch, held_reason = null
      from numbered n where d.id = n.id and ${isOneOf("longest")}
      returning d.id, d.batch_id as batch`,
    values: [subscriptionId, count, newId(), Math.min(maxInFlight, MAX_BATCH)],
  });
  const batches = [...Map.groupBy(rows, ({ batch }) => batch)].map(([id, members]) => ({
    id,
    size: members.length,
    ...familyRange(members.map((member) => member.id)),
  }));
  await enqueue.dispatch(batches);
  return rows.map(({ id }) => id);
}
