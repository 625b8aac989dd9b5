import { setTimeout as pause } from "node:timers/promises";
import { KEY_PREFIX } from "@postrider/shared/queue/keys.ts";
import { DEAD_LETTERS, LANES } from "@postrider/shared/queue/queues.ts";
import { withRedis } from "@postrider/testkit/servers/redis.ts";
import type { Redis } from "ioredis";

/** What a key of Redis holds. Each lane has keys of the first seven kinds. */
export type KeyKind = "wait" | "prioritized" | "active" | "delayed" | "meta" | "job" | "lock" | "breaker" | "other";

const QUEUES: readonly string[] = [...LANES, DEAD_LETTERS];

/** BullMQ's keys of a lane, by their last part. */
const LANE_KEYS: Readonly<Record<string, KeyKind>> = {
  wait: "wait",
  paused: "wait",
  marker: "wait",
  prioritized: "prioritized",
  active: "active",
  stalled: "active",
  delayed: "delayed",
  meta: "meta",
  id: "meta",
  pc: "meta",
  "stalled-check": "meta",
  events: "meta",
  completed: "other",
  failed: "other",
};

/** The kind of a key. Rate buckets, counts of due retries and the fleet's own keys are `other`. */
export function kindOf(key: string): KeyKind {
  const [family = "", ...rest] = key.slice(KEY_PREFIX.length + 1).split(":");
  if (family === "breaker" || family === "breakers") return "breaker";
  if (!QUEUES.includes(family)) return "other";
  if (rest.at(-1) === "lock") return "lock";
  return LANE_KEYS[rest[0] ?? ""] ?? "job";
}

const LOOK_EVERY_MS = 20;

/**
 * Deletes each key of a kind once, and half of the jobs, which are many; a key that is missing is waited for, because
 * under light load most lists are empty most of the time.
 */
export async function deleteKeys(redisUrl: string, kind: KeyKind, withinMs: number): Promise<void> {
  const deadline = Date.now() + withinMs;
  const seen = new Set<string>();
  await withRedis(redisUrl, async (redis) => {
    while (Date.now() < deadline) {
      const found = (await redis.keys(`${KEY_PREFIX}:*`)).filter((key) => kindOf(key) === kind && !seen.has(key));
      for (const key of found) seen.add(key);
      const doomed = kind === "job" ? found.filter((_, index) => index % 2 === 0) : found;
      if (doomed.length > 0) await redis.del(...doomed);
      await pause(LOOK_EVERY_MS);
    }
  });
}

/** Of the memory that the data takes, this much is left while keys are evicted. */
const KEPT = 0.5;

/** Lets Redis evict keys at random, whatever they hold, because it has too little memory for them. */
export async function evictKeys(redisUrl: string, lastsMs: number): Promise<void> {
  await withRedis(redisUrl, async (redis) => {
    const memory = await redis.info("memory");
    const [used, data] = [bytes(memory, "used_memory"), bytes(memory, "used_memory_dataset")];
    await setMemory(redis, "allkeys-random", Math.round(used - data * (1 - KEPT)));
    await pause(lastsMs);
    await setMemory(redis, "noeviction", 0);
  });
}

async function setMemory(redis: Redis, policy: string, max: number): Promise<void> {
  await redis.config("SET", "maxmemory-policy", policy);
  await redis.config("SET", "maxmemory", String(max));
}

const bytes = (memory: string, name: string): number => Number(new RegExp(`^${name}:(\\d+)`, "m").exec(memory)?.[1]);
