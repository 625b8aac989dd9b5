import type { Settings } from "@postrider/shared/config/settings.ts";
import { createPool } from "@postrider/shared/db/pool.ts";
import { createQueues } from "@postrider/shared/queue/queues.ts";
import { createProducerConnection } from "@postrider/shared/redis/connection.ts";
import { createLogger } from "@postrider/shared/telemetry/logger.ts";
import { createRegistry } from "@postrider/shared/telemetry/metrics.ts";
import { LoginThrottle } from "./access/throttle.ts";
import { createPasswordCheck } from "./access/password.ts";
import { createSessions } from "./access/sessions.ts";

export type Context = ReturnType<typeof createContext>;

/** One operator presses Retry; "Retry all" uses these side by side. */
const POOL_SIZE = 5;

/**
 * Everything that the routes need, made once. Neither Postgres nor Redis is asked for anything yet: the console starts
 * while they are away, and says so on its pages.
 */
export function createContext(settings: Settings) {
  const log = createLogger("console", settings.logLevel);
  const pool = createPool(settings.databaseUrl, "console", POOL_SIZE, log);
  const redis = createProducerConnection(settings.redisUrl, log);
  const queues = createQueues(redis);
  return {
    settings,
    log,
    pool,
    redis,
    queues,
    registry: createRegistry("console"),
    isPassword: createPasswordCheck(settings.consolePassword),
    sessions: createSessions(settings.encryptionKey, settings.consolePassword, Date.now),
    throttle: new LoginThrottle(Date.now),
    /** The board is a view of Redis; without it there is nothing to show. */
    isReady: async () => redis.status === "ready",
    async close() {
      await queues.close();
      redis.disconnect();
      await pool.end();
    },
  };
}
