import { refuseWrongClock } from "@postrider/shared/db/clock.ts";
import { ensureCurrentPartitions } from "@postrider/shared/db/partitions.ts";
import { refuseWrongKey } from "@postrider/shared/db/encryption-key.ts";
import { createDb, createPool } from "@postrider/shared/db/pool.ts";
import type { Settings } from "@postrider/shared/config/settings.ts";
import { createQueues } from "@postrider/shared/queue/queues.ts";
import { createProducerConnection } from "@postrider/shared/redis/connection.ts";
import { createSecretBox } from "@postrider/shared/secret-box.ts";
import { createLogger } from "@postrider/shared/telemetry/logger.ts";
import { createRegistry } from "@postrider/shared/telemetry/metrics.ts";
import { createAcceptor, type Acceptor } from "./accept-event.ts";
import { createDispatcher } from "./dispatch.ts";
import { createIngestMetrics } from "./metrics.ts";

export type Context = Awaited<ReturnType<typeof createContext>>;

const POOL_SIZE = 20;

/** Everything that the routes need, made once; `close()` lets go of it in reverse. */
export async function createContext(settings: Settings) {
  const log = createLogger("ingest", settings.logLevel);
  const pool = createPool(settings.databaseUrl, "ingest", POOL_SIZE, log);
  await refuseWrongClock(pool, Date.now);
  await ensureCurrentPartitions(pool, Date.now());
  const secretBox = createSecretBox(settings.encryptionKey);
  await refuseWrongKey(pool, secretBox);
  const redis = createProducerConnection(settings.redisUrl, log);
  const queues = createQueues(redis);
  const registry = createRegistry("ingest");
  let acceptor: Acceptor | undefined;
  const metrics = createIngestMetrics(registry, () => acceptor?.waitingRows ?? 0);
  acceptor = createAcceptor(pool, createDispatcher(queues, redis, metrics, log));
  return {
    settings,
    log,
    pool,
    db: createDb(pool),
    redis,
    queues,
    registry,
    metrics,
    acceptor,
    secretBox,
    async close() {
      await acceptor.idle();
      await queues.close();
      redis.disconnect();
      await pool.end();
    },
  };
}
