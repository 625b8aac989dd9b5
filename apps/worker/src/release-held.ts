import { familyRange } from "@postrider/shared/core/id-range.ts";
import type { SubscriptionStatus } from "@postrider/shared/core/states.ts";
import { newId, toPublicId } from "@postrider/shared/ids.ts";
import { dispatchJobOf } from "@postrider/shared/queue/queues.ts";
import type { Context } from "./context.ts";

const BATCH = 100;

/**
 * The release job of one subscription, the only thing that moves deliveries out of `held`: back to the dispatch lane
 * while the subscription is active, oldest first; `cancelled` where it is deleted. It ends when nothing is held.
 */
export async function release(context: Context, subscriptionId: string, signal: AbortSignal): Promise<void> {
  let released = 0;
  while (!signal.aborted) {
    const state = await subscriptionState(context, subscriptionId);
    if (state !== "active" && state !== "deleted") break;
    const moved =
      state === "deleted" ? await cancelBatch(context, subscriptionId) : await releaseBatch(context, subscriptionId);
    released += moved;
    if (moved === 0) break;
  }
  if (released > 0) {
    context.log.info({ subscription: toPublicId("sub", subscriptionId), released }, "held deliveries released");
  }
}

async function subscriptionState({ pool }: Context, id: string): Promise<SubscriptionStatus | "deleted"> {
  const { rows } = await pool.query<{ state: SubscriptionStatus | "deleted" }>(
    "select case when deleted_at is null then status else 'deleted' end as state from subscriptions where id = $1",
    [id],
  );
  return rows[0]?.state ?? "deleted";
}

async function releaseBatch({ pool, queues, metrics, log }: Context, subscriptionId: string): Promise<number> {
  const batchId = newId();
  const { rows } = await pool.query<{ id: string }>({
    name: "release-batch",
    text: `
      with oldest as (
        select id from deliveries where state = 'held' and subscription_id = $1 order by id limit ${BATCH} for update skip locked
      )
      update deliveries d set state = 'pending', batch_id = $2, held_reason = null, held_at = null
      from oldest where d.id = oldest.id and d.state = 'held'
      returning d.id`,
    values: [subscriptionId, batchId],
  });
  if (rows.length === 0) return 0;
  metrics.released.inc(rows.length);
  const range = familyRange(rows.map(({ id }) => id));
  await queues.dispatch
    .addBulk([dispatchJobOf(batchId, range, rows.length)])
    .catch((error: unknown) =>
      log.debug({ err: error }, "released deliveries could not be dispatched; the watchdog will"),
    );
  return rows.length;
}

async function cancelBatch({ pool, metrics }: Context, subscriptionId: string): Promise<number> {
  const { rowCount } = await pool.query({
    name: "cancel-batch",
    text: `
      with unfinished as (
        select id from deliveries where state in ('held', 'retrying') and subscription_id = $1 order by id limit 1000 for update skip locked
      )
      update deliveries d set state = 'cancelled', settled_at = now(), held_reason = null, held_at = null, next_attempt_at = null
      from unfinished where d.id = unfinished.id and d.state in ('held', 'retrying')`,
    values: [subscriptionId],
  });
  metrics.moves.inc({ state: "cancelled", reason: "" }, rowCount ?? 0);
  return rowCount ?? 0;
}
