import { Redis } from "ioredis";

/** The server has 256 databases: the first counts, the others are handed out in turn. */
const DATABASES = 255;

export interface TestRedis {
  /** Ends with the number of a database that no other test uses. */
  url: string;
  release(): Promise<void>;
}

/** Claims an empty Redis database. FLUSHALL would empty all of them: a test that needs it starts a throwaway server. */
export async function claimRedis(serverUrl: string): Promise<TestRedis> {
  const turn = await withRedis(serverUrl, (redis) => redis.incr("databases-handed-out"));
  const url = `${serverUrl}/${1 + (turn % DATABASES)}`;
  await flushRedis(url);
  return { url, release: () => flushRedis(url) };
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
