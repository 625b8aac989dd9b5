import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";

/** What Redis has in memory. */
export interface RedisMemory {
  /** used_memory_dataset: without its own overhead and the buffers of clients and of the log. */
  datasetBytes: number;
  keys: number;
}

const SAMPLES = 12;
const EVERY_MS = 250;

/** The least of several readings over three seconds: what is there only while something is worked on comes and goes. */
export async function readRedisMemory(url: string): Promise<RedisMemory> {
  const redis = new Redis(url);
  try {
    let least = Number.POSITIVE_INFINITY;
    for (let sample = 0; sample < SAMPLES; sample += 1) {
      const bytes = /used_memory_dataset:(\d+)/.exec(await redis.info("memory"))?.[1];
      if (bytes === undefined) throw new Error("this Redis does not say used_memory_dataset");
      least = Math.min(least, Number(bytes));
      await sleep(EVERY_MS);
    }
    return { datasetBytes: least, keys: await redis.dbsize() };
  } finally {
    redis.disconnect();
  }
}
