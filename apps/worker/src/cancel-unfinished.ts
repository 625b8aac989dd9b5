import { toPublicId } from "@postrider/shared/ids.ts";
import type { Context } from "./context.ts";

/** Rows per statement, so that no lock is held for long. */
const PAGE = 1_000;

/** Cancels what waits for a deleted subscription: what is held, and what waits for its next attempt. */
export async function cancelUnfinished(context: Context, subscriptionId: string, signal: AbortSignal): Promise<void> {
  const { pool, metrics, log } = context;
  for (let cancelled = 0; !signal.aborted;) {
    const { rowCount } = await pool.query({
      name: "cancel-unfinished",
      text: `
        with unfinished as (
          select id from deliveries where state in ('held', 'retrying') and subscription_id = $1 order by id limit ${PAGE} for update skip locked
        )
        update deliveries d set state = 'cancelled', settled_at = now(), held_reason = null, held_at = null, next_attempt_at = null
        from unfinished where d.id = unfinished.id and d.state in ('held', 'retrying')`,
      values: [subscriptionId],
    });
    cancelled += rowCount ?? 0;
    metrics.moves.inc({ state: "cancelled", reason: "" }, rowCount ?? 0);
    if (rowCount === 0) {
      if (cancelled > 0)
        log.info({ subscription: toPublicId("sub", subscriptionId), cancelled }, "deliveries cancelled");
      return;
    }
  }
}
