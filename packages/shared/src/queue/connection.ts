import { Redis } from "ioredis";
import type { Logger } from "pino";

/** Reconnect soon and for ever: BullMQ's own default backs off to 20 s, which kept a recovered fleet idle. */
const retryStrategy = (times: number): number => Math.min(100 * 2 ** Math.min(times, 4), 1_000);

/** For producers and short commands: fails at once while Redis is unreachable, and never waits longer than a second. */
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

/** For BullMQ workers, whose blocking reads must be neither timed out nor given up. */
export function createWorkerConnection(redisUrl: string, log: Logger): Redis {
  return withLog(new Redis(redisUrl, { retryStrategy, maxRetriesPerRequest: null }), log);
}

function withLog(redis: Redis, log: Logger): Redis {
  let away = false;
  redis.on("error", (error: Error) => {
    // One line per outage: the client reports every failed reconnect.
    if (!away) log.warn({ err: error }, "Redis is unreachable; reconnecting");
    away = true;
  });
  redis.on("ready", () => {
    if (away) log.info("Redis is back");
    away = false;
  });
  return redis;
}
