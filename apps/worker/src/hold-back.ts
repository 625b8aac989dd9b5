import type { IdRange } from "@postrider/shared/core/id-range.ts";
import type { HeldReason } from "@postrider/shared/core/states.ts";
import type { Context } from "./context.ts";

/**
 * Holds what is pending of a batch for subscriptions that cannot take it now, in one statement, before anything of it is
 * loaded. With a dead subscriber this is most of what there is to do for it, so it is made cheap. It decides
 * nothing of its own: who is named here was refused a moment ago by what decides it, the breaker or the slots.
 */
export async function holdBack(context: Context, batch: { id: string } & IdRange): Promise<void> {
  const { pool, health, slots, metrics, startRelease } = context;
  const reasons = new Map<string, HeldReason>(slots.heldUpSubscriptions());
  for (const subscriptionId of health.justHeardShut()) reasons.set(subscriptionId, "breaker");
  if (reasons.size === 0) return;
  const { rows } = await pool.query<{ subscriptionId: string; reason: HeldReason; count: number }>({
    name: "hold-back",
    // A manual attempt (cycle above 0) may pass an open breaker, so those are left to who knows. The batch is walked once,
    // by its own index: array_position keeps the one by subscription out.
    text: `
      with held as (
        update deliveries d set state = 'held', batch_id = null, held_at = coalesce(d.held_at, now()),
          held_reason = (
            select case status when 'active' then ($5::text[])[array_position($4::uuid[], id)] else status end
            from subscriptions where id = d.subscription_id
          )
        where d.state = 'pending' and d.batch_id = $1 and d.id between $2 and $3 and d.cycle = 0
          and array_position($4::uuid[], d.subscription_id) is not null
          and (select deleted_at is null from subscriptions where id = d.subscription_id)
        returning d.subscription_id, d.held_reason
      )
      select subscription_id as "subscriptionId", held_reason as reason, count(*)::int as count from held group by 1, 2`,
    values: [batch.id, batch.from, batch.to, [...reasons.keys()], [...reasons.values()]],
  });
  for (const { subscriptionId, reason, count } of rows) {
    metrics.moves.inc({ state: "held", reason }, count);
    if (reason !== "paused" && reason !== "disabled") startRelease(subscriptionId);
  }
}
