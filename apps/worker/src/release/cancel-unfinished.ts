import { isOneOf } from "@postrider/shared/store/picked-rows.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import type { Context } from "../context.ts";
import { RetryLater } from "../job/retry-later.ts";
import type { JobLease } from "../job/lease.ts";

/** Rows per statement, so that no lock is held for long. */
const PAGE = 1_000;

/**
 * Cancels what waits for a deleted subscription: what is held, and what waits for its next attempt.
 *
 * @throws RetryLater where the lease ended before the end
 */
export async function cancelUnfinished(context: Context, subscriptionId: string, lease: JobLease): Promise<void> {
  const { pool, metrics, log } = context;
  const cancel = async (state: "held" | "retrying", page: number): Promise<number> => {
    const { rowCount } = await pool.query({
      name: `cancel-${state}`,
      // The state is spelled out, because an index of rows in that state is what finds them.
      text: `
        with unfinished as materialized (
          select id from deliveries where state = '${state}' and subscription_id = $1 limit $2 for update skip locked
        )
        update deliveries d set state = 'cancelled', settled_at = now(), held_reason = null, held_at = null, next_attempt_at = null
        where ${isOneOf("unfinished")}`,
      values: [subscriptionId, page],
    });
    metrics.moves.inc({ state: "cancelled", reason: "" }, rowCount ?? 0);
    return rowCount ?? 0;
  };
  // All at once: what waits for a retry is found by a walk over all that do.
  let cancelled = await cancel("retrying", Number.MAX_SAFE_INTEGER);
  for (let page = PAGE; page === PAGE; cancelled += page) {
    if (lease.signal.aborted) throw new RetryLater("given back", 0);
    page = await cancel("held", PAGE);
  }
  if (cancelled > 0) log.info({ subscription: toPublicId("sub", subscriptionId), cancelled }, "deliveries cancelled");
}
