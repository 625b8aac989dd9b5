import type { Redis } from "ioredis";
import { WRITE_CHECK_KEY } from "@postrider/shared/queue/keys.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";

const LOG_AGAIN_MS = 30_000;
const PROBE_TTL_MS = 10_000;

/**
 * A listener for the errors of queues and lanes. The connection itself logs when it breaks and when it is back; all
 * other errors (out of memory, read-only, a failed script) are logged here once per kind and half minute, because every
 * loop gets them again and again.
 */
export function createRedisErrorLog(log: Logger): (error: Error) => void {
  const lastLoggedAt = new Map<string, number>();
  return (error) => {
    const kind = /^[A-Z]+(?= )/.exec(error.message)?.[0];
    if (kind === undefined) {
      log.debug({ err: error }, "a lane got an error from Redis or BullMQ");
      return;
    }
    const now = performance.now();
    if (now - (lastLoggedAt.get(kind) ?? Number.NEGATIVE_INFINITY) < LOG_AGAIN_MS) return;
    lastLoggedAt.set(kind, now);
    const advice =
      kind === "OOM"
        ? "Redis is out of memory: raise maxmemory; deliveries wait in Postgres meanwhile"
        : "Redis refuses commands";
    log.error({ kind, reason: error.message }, advice);
  };
}

/** Rejects where Redis takes no writes: one that is out of memory, or a replica, still answers a PING. */
export async function checkWrites(redis: Redis): Promise<void> {
  if (redis.status !== "ready") throw new Error("Redis is unreachable");
  await redis.set(WRITE_CHECK_KEY, "1", "PX", PROBE_TTL_MS);
}
