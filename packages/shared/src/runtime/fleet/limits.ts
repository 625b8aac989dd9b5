import type { Redis } from "ioredis";
import type { HeldReason } from "../../core/delivery/states.ts";
import { limitsKey, WORKERS_KEY } from "../../queue/keys.ts";
import { HEARTBEAT_TIMEOUT_MS } from "./roster.ts";

/** The limit that blocks a subscription's requests, as a worker saw it at its last heartbeat. */
export interface SubscriptionLimit {
  because: HeldReason;
  /** Requests that it may have under way in the worker. */
  max: number;
  /** Requests per second over the fleet; null without a rate. */
  ratePerSecond: number | null;
}

/** Subscriptions that a worker publishes: about 100 kB in Redis. */
const MAX_PUBLISHED = 1_000;

type Limited = SubscriptionLimit & { subscription: string; waiting: number };

/** Replaces what the worker has published before, with the subscriptions that have most requests waiting. */
export async function publishLimits(redis: Redis, workerId: string, limited: Iterable<Limited>): Promise<void> {
  const most = Array.from(limited)
    .sort((a, b) => b.waiting - a.waiting)
    .slice(0, MAX_PUBLISHED);
  const key = limitsKey(workerId);
  const commands = redis.multi().unlink(key);
  if (most.length > 0) {
    const fields = most.map(({ subscription, because, max, ratePerSecond }): [string, string] => [
      subscription,
      JSON.stringify({ because, max, ratePerSecond }),
    ]);
    commands.hset(key, Object.fromEntries(fields)).pexpire(key, HEARTBEAT_TIMEOUT_MS);
  }
  await commands.exec();
}

export async function removeLimits(redis: Redis, workerId: string): Promise<void> {
  await redis.unlink(limitsKey(workerId));
}

/** The limits that block subscriptions now, in the worker that lets the fewest requests of each through. */
export async function readLimits(
  redis: Redis,
  subscriptionIds: readonly string[],
): Promise<ReadonlyMap<string, SubscriptionLimit>> {
  if (subscriptionIds.length === 0) return new Map();
  const workers = await redis.hkeys(WORKERS_KEY);
  const perWorker = await Promise.all(workers.map((worker) => redis.hmget(limitsKey(worker), ...subscriptionIds)));
  const lowest = new Map<string, SubscriptionLimit>();
  for (const texts of perWorker) {
    for (const [index, text] of texts.entries()) {
      if (text === null) continue;
      const id = subscriptionIds[index]!;
      const limit = JSON.parse(text) as SubscriptionLimit;
      if (limit.max < (lowest.get(id)?.max ?? Number.POSITIVE_INFINITY)) lowest.set(id, limit);
    }
  }
  return lowest;
}
