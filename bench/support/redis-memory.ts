import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { KEY_PREFIX } from "../../packages/shared/src/queue/keys.ts";
import { LANES } from "../../packages/shared/src/queue/queues.ts";

/** Redis's memory. */
export interface RedisMemory {
  /** used_memory_dataset: without overhead and the buffers of clients and of the log. */
  datasetBytes: number;
  /** Of it: BullMQ's event streams, one per queue, whose length is capped. */
  eventStreamBytes: number;
  keys: number;
}

const SAMPLES = 12;
const EVERY_MS = 250;

/** The minimum of several readings over three seconds, because work in progress takes memory for a moment. */
export async function readRedisMemory(url: string): Promise<RedisMemory> {
  const redis = new Redis(url);
  try {
    let min = Number.POSITIVE_INFINITY;
    for (let sample = 0; sample < SAMPLES; sample += 1) {
      const bytes = /used_memory_dataset:(\d+)/.exec(await redis.info("memory"))?.[1];
      if (bytes === undefined) throw new Error("this Redis does not say used_memory_dataset");
      min = Math.min(min, Number(bytes));
      await sleep(EVERY_MS);
    }
    return { datasetBytes: min, eventStreamBytes: await eventStreamBytes(redis), keys: await redis.dbsize() };
  } finally {
    redis.disconnect();
  }
}

async function eventStreamBytes(redis: Redis): Promise<number> {
  const streams = LANES.map((name) => `${KEY_PREFIX}:${name}:events`);
  // SAMPLES 0 reads every entry; an unused queue has no stream.
  const sizes = await Promise.all(streams.map((stream) => redis.memory("USAGE", stream, "SAMPLES", 0)));
  return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
}
