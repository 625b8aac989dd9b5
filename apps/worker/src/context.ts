import type { Settings } from "@postrider/shared/config/settings.ts";
import { checkDatabase, openFoundations } from "@postrider/shared/process/foundations.ts";
import { createWorkerConnection } from "@postrider/shared/redis/connection.ts";
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
  const foundations = openFoundations("worker", settings, POOL_SIZE);
  const { log, pool, queues, registry } = foundations;
  const secretBox = await checkDatabase(foundations, Date.now);
  const workerRedis = createWorkerConnection(settings.redisUrl, log);
  const agent = createDeliveryAgent(settings.allowedNetworks, settings.deliveryTimeoutMs);
  const slots = new Slots(settings.maxInFlight);
  const recorder: Recorder = createRecorder(pool, log);
  const metrics = createWorkerMetrics(registry, slots, () => recorder.waiting);
  registerBacklogMetrics(registry, pool, queues);
  const loadSubscriptions = createSubscriptionLoader(pool, secretBox, settings);
  return {
    ...foundations,
    workerRedis,
    agent,
    slots,
    recorder,
    metrics,
    onRedisError: createTroubleLog(log, Date.now),
    loadSubscriptions,
    loadRetry: createRetryLoader(pool, loadSubscriptions),
    async close() {
      workerRedis.disconnect();
      await agent.destroy();
      await foundations.close();
    },
  };
}
