import type { Redis } from "ioredis";
import type { Enqueue } from "../queue/enqueue.ts";
import { retryJobId } from "../queue/jobs.ts";
import { breakerKey, lockKey } from "../queue/keys.ts";
import type { Queues } from "../queue/queues.ts";
import type { Pool } from "../store/pool.ts";
import { findRetryable, type RetryableRow } from "../store/sql/find-retryable.ts";
import { retryDeliveryRow } from "../store/sql/retry-delivery.ts";

/** Why a delivery is not retried. */
export type RetryRefusal =
  | "not_found"
  /** It waits to be sent, or is on the wire. */
  | "delivery_pending"
  | "subscription_paused"
  | "subscription_disabled"
  | "subscription_deleted";

export type RetryResult = { kind: "retrying"; cycle: number } | { kind: RetryRefusal };

interface RetryParts {
  pool: Pool;
  redis: Pick<Redis, "exists" | "hget">;
  queues: Pick<Queues, "retry" | "deadLetters">;
  enqueue: Pick<Enqueue, "retry">;
}

/**
 * A manual retry: starts a new cycle of the delivery, with the full schedule, due now. The job is added after the
 * commit; if Redis refuses it, the watchdog adds it later.
 *
 * @param id the delivery, a UUID
 * @param tenant if given, deliveries of other tenants are not found
 * @param write starts the new cycle (retryDeliveryRow), for callers that write more in the same transaction
 */
export async function retryDelivery(
  parts: RetryParts,
  id: string,
  tenant?: string,
  write = (found: RetryableRow): Promise<boolean> => retryDeliveryRow(parts.pool, found),
): Promise<RetryResult> {
  const { pool, queues, enqueue } = parts;
  const found = await findRetryable(pool, id, tenant);
  if (!found) return { kind: "not_found" };
  const refusal = refusalOf(found);
  if (refusal) return { kind: refusal };
  // Of several retries at once, the first one commits. The others would send nothing more.
  if ((await isOnTheWire(parts, found)) || !(await write(found))) return { kind: "delivery_pending" };
  const cycle = found.cycle + 1;
  const { eventType, url, tenant: owner } = found;
  if (await enqueue.retry([{ delivery: id, cycle, tenant: owner, eventType, url, delayMs: 0, isManual: true }])) {
    // The previous cycle's job has nothing left to do. BullMQ can't remove an active job, but that one ends by itself.
    const previous = retryJobId(id, cycle - 1);
    await Promise.allSettled([queues.retry.remove(previous), queues.deadLetters.remove(previous)]);
  }
  return { kind: "retrying", cycle };
}

function refusalOf({ state, status, isDeleted, isDue }: RetryableRow): RetryRefusal | undefined {
  if (isDeleted) return "subscription_deleted";
  // It would be held again at once.
  if (status !== "active") return `subscription_${status}`;
  return state === "pending" || isDue ? "delivery_pending" : undefined;
}

/**
 * Whether a request for the delivery is being made: its retry's job has a lock, or its subscription's breaker waits for
 * the probe that was sent with it. Its outcome would be lost for a delivery that has a new cycle. While Redis is
 * unreachable, no.
 */
async function isOnTheWire(
  { redis, queues }: RetryParts,
  { id, state, cycle, subscriptionId, isProbed }: RetryableRow,
): Promise<boolean> {
  try {
    if (state === "retrying") return (await redis.exists(lockKey(queues.retry.toKey(retryJobId(id, cycle))))) === 1;
    return isProbed && (await redis.hget(breakerKey(subscriptionId), "state")) === "half_open";
  } catch {
    return false;
  }
}
