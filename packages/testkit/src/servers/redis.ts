import { randomInt, randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { waitFor } from "../wait.ts";

export interface TestRedis {
  /** Ends with the number of a database that no other test uses. */
  url: string;
  release(): Promise<void>;
}

/** A run that was killed releases nothing: its claims end after this, and the next run empties its databases. */
const CLAIM_SECONDS = 60;
const RENEW_EVERY_MS = 10_000;

const claimKey = (database: number): string => `postrider-test-database:${database}`;

/** In a database that tests have used, and nobody else. */
const MARKER = "postrider-test-database";

/**
 * Claims an empty Redis database. FLUSHALL would empty all of them: a test that needs it starts a throwaway server.
 * Databases that have keys belong to somebody else, and may be in use, unless a test run that was killed has marked them.
 */
export async function claimRedis(serverUrl: string): Promise<TestRedis> {
  const token = randomUUID();
  const claim = (redis: Redis) => claimDatabase(redis, token);
  const database = await waitFor("an empty Redis database", () => withRedis(serverUrl, claim), { every: 250 });
  const url = new URL(serverUrl);
  url.pathname = String(database);
  const stopRenewing = keepRenewing(() => withRedis(serverUrl, (redis) => renew(redis, database, token)));
  return {
    url: url.href,
    async release() {
      await stopRenewing();
      await flushRedis(url.href);
      await withRedis(serverUrl, (redis) => redis.del(claimKey(database)));
    },
  };
}

/** @returns undefined if none is left. Database 0 holds the claims */
async function claimDatabase(redis: Redis, token: string): Promise<number | undefined> {
  const [, configured] = (await redis.config("GET", "databases").catch(() => [])) as string[];
  const databases = Number(configured ?? 16) - 1;
  const first = randomInt(databases);
  for (let turn = 0; turn < databases; turn += 1) {
    const database = 1 + ((first + turn) % databases);
    const answers = await redis
      .multi()
      .set(claimKey(database), token, "EX", CLAIM_SECONDS, "NX")
      .select(database)
      .dbsize()
      .exists(MARKER)
      .select(redis.options.db ?? 0)
      .exec();
    const [isClaimed, size, isMarked] = [answers?.[0]?.[1] === "OK", answers?.[2]?.[1], answers?.[3]?.[1] === 1];
    if (isClaimed && (size === 0 || isMarked)) {
      await redis
        .multi()
        .select(database)
        .flushdb()
        .set(MARKER, token)
        .select(redis.options.db ?? 0)
        .exec();
      return database;
    }
    if (isClaimed) await redis.del(claimKey(database));
  }
  return undefined;
}

/** Renews the mark too: tests empty their databases. */
async function renew(redis: Redis, database: number, token: string): Promise<void> {
  const owner = await redis.get(claimKey(database));
  // This process was stopped for so long that its claim ended.
  if (owner !== null && owner !== token) throw new Error(`another test run uses Redis database ${database}`);
  await redis.multi().set(claimKey(database), token, "EX", CLAIM_SECONDS).select(database).set(MARKER, token).exec();
}

/** @returns stops it, after a renewal that is under way */
function keepRenewing(renewOnce: () => Promise<void>): () => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    last = renewOnce().catch((error: Error) => void process.stderr.write(`${error.message}\n`));
  }, RENEW_EVERY_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    return last;
  };
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
