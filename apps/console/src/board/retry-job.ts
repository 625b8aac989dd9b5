import type { Job } from "bullmq";
import type { DeliveryState } from "@postrider/shared/core/delivery/states.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { retryDelivery, type RetryResult } from "@postrider/shared/runtime/retry-delivery.ts";
import type { RetryJob } from "@postrider/shared/queue/jobs.ts";
import type { Context } from "../context.ts";

export type Retried = RetryResult | { kind: "changed"; state: DeliveryState };

/** Deliveries that are just being retried: a second click must not begin a second cycle. */
const underWay = new Set<string>();

/**
 * Retries the delivery that a job stands for, by Postgres, where it is still in the state that the board showed. A job
 * that the delivery has left behind is taken off the board.
 */
export async function retryThroughPostgres(
  context: Pick<Context, "pool" | "queues" | "enqueue">,
  job: Job<RetryJob>,
  shown: "dead" | "retrying",
): Promise<Retried> {
  const { delivery, cycle } = job.data;
  if (underWay.has(delivery)) return { kind: "changed", state: "retrying" };
  underWay.add(delivery);
  try {
    const row = await findDelivery(context.pool, delivery);
    const isAsShown = row?.state === shown && (shown === "dead" || row.cycle === cycle);
    const retried: Retried = isAsShown
      ? await retryDelivery(context, delivery)
      : row
        ? { kind: "changed", state: row.state }
        : { kind: "not_found" };
    // What cannot be retried now may be later, when its subscription is back: that job stays.
    const isOver = retried.kind !== "subscription_deleted" && retried.kind !== "delivery_pending";
    // It is gone already where the retry took it away, and a worker may hold it by now.
    if (isOver) await job.remove().catch(() => undefined);
    return retried;
  } finally {
    underWay.delete(delivery);
  }
}

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

async function findDelivery(pool: Pool, id: string): Promise<{ state: DeliveryState; cycle: number } | undefined> {
  if (!UUID.test(id)) return undefined;
  const { rows } = await pool.query<{ state: DeliveryState; cycle: number }>({
    name: "console-find-delivery",
    text: "select state, cycle from deliveries where id = $1",
    values: [id],
  });
  return rows[0];
}
