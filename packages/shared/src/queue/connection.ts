import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { PrimaryRedis } from "./primary-redis.ts";

/**
 * For producers and short commands: fails immediately while Redis is unreachable, and times out after a second. No
 * command is sent twice: its caller has given it up by then.
 */
export const createProducerConnection = (redisUrl: string, log: Logger): Redis =>
  new PrimaryRedis(
    redisUrl,
    { enableOfflineQueue: false, commandTimeout: 1_000, autoResendUnfulfilledCommands: false },
    log,
    false,
  );

/**
 * For BullMQ workers, whose blocking reads must not time out. Their commands wait for the next server: a job that ends
 * during a failover would otherwise run again.
 */
export const createWorkerConnection = (redisUrl: string, log: Logger): Redis =>
  new PrimaryRedis(redisUrl, {}, log, true);
