import type { Enqueue } from "../queue/enqueue.ts";
import { retryJobId } from "../queue/jobs.ts";
import type { Queues } from "../queue/queues.ts";
import type { Pool } from "../store/pool.ts";
import { retryDeliveryRow } from "../store/sql/retry-delivery.ts";

export type RetryResult =
  | { kind: "retrying"; cycle: number }
  | { kind: "not_found" }
  | { kind: "delivery_pending" }
  | { kind: "subscription_deleted" };

interface RetryParts {
  pool: Pool;
  queues: Pick<Queues, "retry" | "deadLetters">;
  enqueue: Pick<Enqueue, "retry">;
}

/**
 * A manual retry: starts a new cycle of the delivery, with the full schedule, due now. The job is added after the
 * commit; if Redis refuses it, the watchdog adds it later.
 *
 * @param id the delivery, a UUID
 * @param tenant if given, deliveries of other tenants are not found
 */
export async function retryDelivery(
  { pool, queues, enqueue }: RetryParts,
  id: string,
  tenant?: string,
): Promise<RetryResult> {
  const row = await retryDeliveryRow(pool, id, tenant);
  if (!row) return { kind: "not_found" };
  if (row.isDeleted) return { kind: "subscription_deleted" };
  if (row.cycle === null) return { kind: "delivery_pending" };
  const { cycle, eventType, url, tenant: owner } = row;
  if (await enqueue.retry([{ delivery: id, cycle, tenant: owner, eventType, url, delayMs: 0, isManual: true }])) {
    // The previous cycle's job has nothing left to do. BullMQ can't remove an active job, but that one ends by itself.
    const previous = retryJobId(id, cycle - 1);
    await Promise.allSettled([queues.retry.remove(previous), queues.deadLetters.remove(previous)]);
  }
  return { kind: "retrying", cycle };
}
