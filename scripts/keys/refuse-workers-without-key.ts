import { Redis } from "ioredis";
import { readRoster } from "../../packages/shared/src/runtime/fleet/roster.ts";

/**
 * A worker can't open what is sealed under a key that it does not have: the deliveries would be dead letters.
 *
 * @throws Error where such a worker runs, or Redis can't be reached
 */
export async function refuseWorkersWithoutKey(redisUrl: string, keyId: string): Promise<void> {
  const redis = new Redis(redisUrl, { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null });
  redis.on("error", () => undefined);
  try {
    await redis.connect();
    const workers = await readRoster(redis, Date.now());
    const without = workers.filter(({ keyIds = [] }) => !keyIds.includes(keyId));
    if (without.length === 0) return;
    const names = without.map(({ host, pid }) => `${host}:${pid}`).join(", ");
    throw new Error(
      `${without.length} of ${workers.length} workers (${names}) do not have key ${keyId}: restart every process with it`,
    );
  } finally {
    redis.disconnect();
  }
}
