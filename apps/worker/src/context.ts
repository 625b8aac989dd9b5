import type { Queue } from "bullmq";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { NameResolver } from "@postrider/shared/runtime/dns/name-resolver.ts";
import type { WorkerSettings } from "@postrider/shared/runtime/settings/worker.ts";
import { createBreakers } from "@postrider/shared/breaker/breakers.ts";
import { readFleetState } from "@postrider/shared/runtime/fleet/fleet-state.ts";
import { resetBreaker } from "@postrider/shared/runtime/reset-breaker.ts";
import { createFlushMetrics } from "@postrider/shared/runtime/telemetry/flush-metrics.ts";
import { STEADY_PLANS } from "@postrider/shared/store/pool.ts";
import { checkDatabase, openInfrastructure } from "@postrider/shared/runtime/process/infrastructure.ts";
import { createJobLookup } from "@postrider/shared/queue/job-presence.ts";
import { createWorkerConnection } from "@postrider/shared/queue/connection.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import { Suspects } from "./deliver/suspects.ts";
import { createFleetMetrics } from "./fleet/fleet-metrics.ts";
import { createDeliveryAgent } from "./http/delivery-agent.ts";
import { BodyBudget } from "./load/body-budget.ts";
import { createBodyLoader } from "./load/body.ts";
import { createBatchLoader } from "./load/load-batches.ts";
import { createWorkLoader } from "./load/load-by-ids.ts";
import { createSubscriberLoader } from "./load/load-subscribers.ts";
import { createSubscriberRefresh } from "./load/refresh-subscriber.ts";
import { createWorkerMetrics } from "./metrics.ts";
import { createRecorder, type Recorder } from "./record/record-attempts.ts";
import { createSubscriptionHealth } from "./record/subscription-health.ts";
import { createRedisErrorLog } from "./fleet/redis-log.ts";
import { createRateLimit } from "./isolation/rate-limit.ts";
import type { SlotPool } from "./isolation/slot-pool.ts";
import { Slots } from "./isolation/slots.ts";
import { createReleaseStarter } from "./release/start-release.ts";
import { createBreakerReports, type BreakerReports } from "./isolation/breaker-reports.ts";

export type Context = Awaited<ReturnType<typeof createContext>>;

const POOL_SIZE = 10;
/** An opened breaker matters to operators. A breaker is half open during every probe. */
const LOG_LEVELS = { open: "warn", half_open: "debug", closed: "info" } as const;

/** Replacements for tests and benchmarks. */
export interface Overrides {
  slots?: SlotPool;
  breakerReports?: BreakerReports;
}

/** Creates everything that the lanes need; `close()` closes it in reverse order. */
export async function createContext(settings: WorkerSettings, overrides: Overrides = {}) {
  const infrastructure = openInfrastructure("worker", settings, { poolSize: POOL_SIZE, serverSettings: STEADY_PLANS });
  const { log, pool, redis, queues, enqueue, registry } = infrastructure;
  const secretBox = await checkDatabase(infrastructure, settings);
  const workerRedis = createWorkerConnection(settings.redisUrl, log);
  const slots = overrides.slots ?? new Slots(settings.maxInFlight, settings.deliveryTimeoutMs, createRateLimit(redis));
  const bodies = new BodyBudget();
  const recorder: Recorder = createRecorder(pool, log, createFlushMetrics(registry, "record"));
  const metrics = createWorkerMetrics(registry, slots, recorder);
  const resolver = new NameResolver({
    servers: settings.dnsServers,
    rules: settings.addressRules,
    log,
    registry,
  });
  const agent = createDeliveryAgent(
    settings.addressRules,
    settings.deliveryTimeoutMs,
    resolver,
    (phase, seconds) => metrics.attemptPhase.observe({ phase }, seconds),
    settings.ownPorts,
  );
  const breakers = createBreakers(redis, settings.breaker);
  const fleetMetrics = createFleetMetrics("worker", redis, () =>
    readFleetState({ pool, redis, queues, breakers }, now()),
  );
  const resetBreakerOf = (id: string) => resetBreaker({ breakers, enqueue }, id);
  const subscriptionHealth = createSubscriptionHealth(pool, log, settings, (id) => void resetBreakerOf(id));
  const breakerReports =
    overrides.breakerReports ??
    createBreakerReports(breakers, (id, state) => {
      metrics.breakerTransitions.inc({ to: state });
      log[LOG_LEVELS[state]]({ subscription: toPublicId("sub", id), breaker: state }, "breaker changed its state");
      if (state === "open") subscriptionHealth.opened(id);
      if (state === "closed") {
        // The delivery that closed it may have been loaded before the outage began.
        subscriptionHealth.closed(id);
        // A manual retry may have closed it, while the release job still waits for the end of the cooldown.
        void enqueue.wakeRelease(id);
      }
    });
  const loadSubscribers = createSubscriberLoader(pool, secretBox, settings, breakerReports);
  const startRelease = createReleaseStarter(queues, enqueue, redis, log);
  return {
    ...infrastructure,
    settings,
    secretBox,
    workerRedis,
    agent,
    slots,
    bodies,
    recorder,
    suspects: new Suspects(settings, log),
    metrics,
    fleetMetrics,
    onRedisError: createRedisErrorLog(log),
    breakers,
    breakerReports,
    resetBreakerOf,
    subscriptionHealth,
    lookUpJobs: (queue: Queue) => createJobLookup(redis, queue),
    startRelease,
    loadSubscribers,
    loadBatch: createBatchLoader({ pool, metrics, startRelease, slots, breakerReports, loadSubscribers }),
    refreshSubscriber: createSubscriberRefresh(loadSubscribers),
    loadWork: createWorkLoader(pool, loadSubscribers),
    loadBody: createBodyLoader(pool),
    async close() {
      breakerReports.close();
      await subscriptionHealth.close();
      workerRedis.disconnect();
      resolver.close();
      await agent.destroy();
      await infrastructure.close();
    },
  };
}
