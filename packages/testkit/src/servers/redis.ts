import { randomInt } from "node:crypto";
import { Redis } from "ioredis";
import { waitFor } from "../wait.ts";

export interface TestRedis {
  /** Ends with the number of a database that no other test uses. */
  url: string;
  release(): Promise<void>;
}

/** A run that was killed releases nothing. */
const CLAIM_SECONDS = 3_600;

const claimKey = (database: number): string => `postrider-test-database:${database}`;

/**
 * Claims an empty Redis database. FLUSHALL would empty all of them: a test that needs it starts a throwaway server.
 * Databases that have keys belong to somebody else, and may be in use.
 */
export async function claimRedis(serverUrl: string): Promise<TestRedis> {
  const database = await waitFor("an empty Redis database", () => withRedis(serverUrl, claimDatabase), { every: 250 });
  const url = new URL(serverUrl);
  url.pathname = String(database);
  return {
    url: url.href,
    async release() {
      await flushRedis(url.href);
      await withRedis(serverUrl, (redis) => redis.del(claimKey(database)));
    },
  };
}

/** @returns undefined if none is left. Database 0 holds the claims */
async function claimDatabase(redis: Redis): Promise<number | undefined> {
  const [, configured] = (await redis.config("GET", "databases").catch(() => [])) as string[];
  const databases = Number(configured ?? 16) - 1;
  const first = randomInt(databases);
  for (let turn = 0; turn < databases; turn += 1) {
    const database = 1 + ((first + turn) % databases);
    const answers = await redis
      .multi()
      .set(claimKey(database), process.pid, "EX", CLAIM_SECONDS, "NX")
      .select(database)
      .dbsize()
      .select(redis.options.db ?? 0)
      .exec();
    const [isClaimed, size] = [answers?.[0]?.[1] === "OK", answers?.[2]?.[1]];
    if (isClaimed && size === 0) return database;
    if (isClaimed) await redis.del(claimKey(database));
  }
  return undefined;
}

/** Empties one database. */
export async function flushRedis(url: string): Promise<void> {
  await withRedis(url, (redis) => redis.flushdb());
}

/** One short connection. */
export async function withRedis<T>(url: string, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { maxRetriesPerRequest: 1 });
  redis.on("error", () => undefined);
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}
