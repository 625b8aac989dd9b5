import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { cancelUnfinishedRows } from "@postrider/shared/store/sql/cancel-unfinished.ts";
import type { Context } from "../context.ts";
import { RetryLater } from "../job/retry-later.ts";
import type { JobLease } from "../job/lease.ts";

/** Rows per statement, so that no lock is held for long. */
const PAGE = 1_000;

/**
 * Cancels the held and retrying deliveries of a deleted subscription.
 *
 * @throws RetryLater where the lease ended before all were cancelled
 */
export async function cancelUnfinished(
  { pool, metrics, log }: Context,
  subscriptionId: string,
  lease: JobLease,
): Promise<void> {
  const cancel = async (state: "held" | "retrying", limit: number): Promise<number> => {
    const count = await cancelUnfinishedRows(pool, subscriptionId, state, limit);
    metrics.transitions.inc({ state: "cancelled", reason: "" }, count);
    return count;
  };
  // All at once: no index finds a subscription's retrying deliveries, so every page would walk all that are retrying.
  let cancelled = await cancel("retrying", Number.MAX_SAFE_INTEGER);
  for (let page = PAGE; page === PAGE; cancelled += page) {
    if (lease.signal.aborted) throw new RetryLater("given back", 0);
    page = await cancel("held", PAGE);
  }
  if (cancelled > 0)
    log.info(
      { subscription: toPublicId("sub", subscriptionId), cancelled },
      "cancelled the deliveries of a deleted subscription",
    );
}
