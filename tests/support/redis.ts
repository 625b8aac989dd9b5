import { Redis } from "ioredis";
import { inject } from "vitest";

/** Of the server's 256 databases the first one counts, and the others are handed out in turn. */
const DATABASES = 255;

export interface TestRedis {
  /** Ends with the number of a database that is nobody else's. */
  url: string;
  release(): Promise<void>;
}

/** An empty Redis database of one's own. FLUSHALL would empty everybody's: a test that needs it starts a throwaway server. */
export async function claimTestRedis(): Promise<TestRedis> {
  const serverUrl = inject("redisUrl");
  const turn = await withRedis(serverUrl, (redis) => redis.incr("databases-handed-out"));
  const url = `${serverUrl}/${1 + (turn % DATABASES)}`;
  const flush = () => withRedis(url, (redis) => redis.flushdb());
  await flush();
  return { url, release: async () => void (await flush()) };
}

async function withRedis<T>(url: string, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { maxRetriesPerRequest: 1 });
  redis.on("error", () => undefined);
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}
