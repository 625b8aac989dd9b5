import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import {
  cancelHeldRows,
  cancelRetryingRows,
  type CancelledPage,
} from "@postrider/shared/store/sql/cancel-unfinished.ts";
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
  limit = PAGE,
): Promise<void> {
  const count = (cancelled: number): number => {
    metrics.transitions.inc({ state: "cancelled", reason: "" }, cancelled);
    return cancelled;
  };
  let cancelled = count(await cancelRetryingRows(pool, subscriptionId));
  for (let page: CancelledPage | undefined; ;) {
    if (lease.signal.aborted) throw new RetryLater("given back", 0);
    page = await cancelHeldRows(pool, subscriptionId, limit, page);
    if (page === undefined) break;
    cancelled += count(page.count);
  }
  if (cancelled > 0)
    log.info(
      { subscription: toPublicId("sub", subscriptionId), cancelled },
      "cancelled the deliveries of a deleted subscription",
    );
}
