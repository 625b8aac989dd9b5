import { Redis } from "ioredis";
import type { Logger } from "pino";

/** Reconnects for ever and backs off to 1 s only: BullMQ's default of 20 s left the fleet idle after Redis was back. */
const retryStrategy = (times: number): number => Math.min(100 * 2 ** Math.min(times, 4), 1_000);

/** For producers and short commands: fails immediately while Redis is unreachable, and times out after a second. */
export function createProducerConnection(redisUrl: string, log: Logger): Redis {
  return withLog(
    new Redis(redisUrl, {
      retryStrategy,
      enableOfflineQueue: false,
      commandTimeout: 1_000,
      maxRetriesPerRequest: null,
    }),
    log,
  );
}

/** For BullMQ workers, whose blocking reads must not time out. */
export function createWorkerConnection(redisUrl: string, log: Logger): Redis {
  return withLog(new Redis(redisUrl, { retryStrategy, maxRetriesPerRequest: null }), log);
}

function withLog(redis: Redis, log: Logger): Redis {
  let isUnreachable = false;
  redis.on("error", (error: Error) => {
    // One line per outage: the client reports every failed reconnect.
    if (!isUnreachable) log.warn({ err: error }, "Redis is unreachable; reconnecting");
    isUnreachable = true;
  });
  redis.on("ready", () => {
    if (isUnreachable) log.info("Redis is back");
    isUnreachable = false;
  });
  return redis;
}
