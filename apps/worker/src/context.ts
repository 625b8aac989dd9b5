import type { Settings } from "@postrider/shared/config/settings.ts";
import { refuseWrongClock } from "@postrider/shared/db/clock.ts";
import { ensureCurrentPartitions } from "@postrider/shared/db/partitions.ts";
import { createPool } from "@postrider/shared/db/pool.ts";
import { refuseWrongKey } from "@postrider/shared/db/encryption-key.ts";
import { createQueues } from "@postrider/shared/queue/queues.ts";
import { createProducerConnection, createWorkerConnection } from "@postrider/shared/redis/connection.ts";
import { createSecretBox } from "@postrider/shared/secret-box.ts";
import { createLogger } from "@postrider/shared/telemetry/logger.ts";
import { createRegistry } from "@postrider/shared/telemetry/metrics.ts";
import { registerBacklogMetrics } from "./backlog-metrics.ts";
import { createDeliveryAgent } from "./http/delivery-agent.ts";
import { createRetryLoader } from "./load-retry.ts";
import { createSubscriptionLoader } from "./load-subscriptions.ts";
import { createWorkerMetrics } from "./metrics.ts";
import { createRecorder, type Recorder } from "./record-attempts.ts";
import { createTroubleLog } from "./redis-trouble.ts";
import { Slots } from "./slots.ts";

export type Context = Awaited<ReturnType<typeof createContext>>;

const POOL_SIZE = 10;

/** Everything that the lanes need, made once; `close()` lets go of it in reverse. */
export async function createContext(settings: Settings) {
  const log = createLogger("worker", settings.logLevel);
  const pool = createPool(settings.databaseUrl, "worker", POOL_SIZE, log);
  await refuseWrongClock(pool, Date.now);
  await ensureCurrentPartitions(pool, Date.now());
  const secretBox = createSecretBox(settings.encryptionKey);
  await refuseWrongKey(pool, secretBox);
  const redis = createProducerConnection(settings.redisUrl, log);
  const workerRedis = createWorkerConnection(settings.redisUrl, log);
  const queues = createQueues(redis);
  const agent = createDeliveryAgent(settings.allowedNetworks, settings.deliveryTimeoutMs);
  const slots = new Slots(settings.maxInFlight);
  const recorder: Recorder = createRecorder(pool, log);
  const registry = createRegistry("worker");
  const metrics = createWorkerMetrics(registry, slots, () => recorder.waiting);
  registerBacklogMetrics(registry, pool, queues);
  const loadSubscriptions = createSubscriptionLoader(pool, secretBox, settings);
  return {
    settings,
    log,
    pool,
    redis,
    workerRedis,
    queues,
    agent,
    slots,
    recorder,
    registry,
    metrics,
    onRedisError: createTroubleLog(log, Date.now),
    loadSubscriptions,
    loadRetry: createRetryLoader(pool, loadSubscriptions),
    async close() {
      await queues.close();
      redis.disconnect();
      workerRedis.disconnect();
      await agent.destroy();
      await pool.end();
    },
  };
}
