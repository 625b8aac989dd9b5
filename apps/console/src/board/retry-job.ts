import type { Job } from "bullmq";
import type { DeliveryState } from "@postrider/shared/core/delivery/states.ts";
import { retryDelivery, type RetryResult } from "@postrider/shared/runtime/retry-delivery.ts";
import { findDelivery } from "@postrider/shared/store/sql/find-delivery.ts";
import type { RetryJob } from "@postrider/shared/queue/jobs.ts";
import type { Context } from "../context.ts";

export type Retried = RetryResult | { kind: "changed"; state: DeliveryState };

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** Deliveries being retried right now. A second click must not start a second cycle. */
const underWay = new Set<string>();

/**
 * Retries a job's delivery in Postgres, where it still is in the state that the board showed. A stale job is removed
 * from the board.
 */
export async function retryThroughPostgres(
  context: Pick<Context, "pool" | "redis" | "queues" | "enqueue">,
  job: Job<RetryJob>,
  shown: "dead" | "retrying",
): Promise<Retried> {
  const { delivery, cycle } = job.data;
  if (underWay.has(delivery)) return { kind: "changed", state: "retrying" };
  underWay.add(delivery);
  try {
    const row = UUID.test(delivery) ? await findDelivery(context.pool, delivery) : undefined;
    const isAsShown = row?.state === shown && (shown === "dead" || row.cycle === cycle);
    const retried: Retried = isAsShown
      ? await retryDelivery(context, delivery)
      : row
        ? { kind: "changed", state: row.state }
        : { kind: "not_found" };
    // The retry may have removed the job already, or a worker may have locked it.
    if (!staysOnBoard(retried)) await job.remove().catch(() => undefined);
    return retried;
  } finally {
    underWay.delete(delivery);
  }
}

/** Whether the job still shows the state of its delivery, so that it can be retried later. */
export function staysOnBoard({ kind }: Retried): boolean {
  switch (kind) {
    case "delivery_pending":
    case "subscription_paused":
    case "subscription_disabled":
    case "subscription_deleted":
      return true;
    case "not_found":
    case "changed":
    case "retrying":
      return false;
  }
}
