import { setTimeout as sleep } from "node:timers/promises";
import type { WorkerSettings } from "@postrider/shared/runtime/settings/worker.ts";
import { startAdminServer } from "@postrider/shared/runtime/admin-server.ts";
import { closeServer } from "@postrider/shared/runtime/listen.ts";
import { healthOf, postgresHealth, readinessOf } from "@postrider/shared/runtime/readiness.ts";
import { watchClock } from "@postrider/shared/runtime/watch-clock.ts";
import { every } from "@postrider/shared/concurrency/every.ts";
import type { RunningApp } from "@postrider/shared/runtime/process/run.ts";
import { createContext, type Overrides } from "./context.ts";
import { startHeartbeat } from "./fleet/heartbeat.ts";
import { startControlLane } from "./lanes/control-lane.ts";
import { startDeadLetters } from "./lanes/dead-letters.ts";
import { startDispatchLane } from "./lanes/dispatch-lane.ts";
import { startRetryLane } from "./lanes/retry-lane.ts";
import { expireHeld } from "./upkeep/expire-held.ts";
import { checkWrites } from "./fleet/redis-log.ts";
import { resetUnusedBreakers } from "./upkeep/reset-unused-breakers.ts";
import { startUpkeep } from "./upkeep/upkeep.ts";
import { createWatchdogMemory, runOnce, WATCHDOG_GRACE_MS } from "./upkeep/watchdog.ts";

/** Starts a worker: the lanes, the watchdog, the upkeep and the admin server. */
export async function startWorker(settings: WorkerSettings, overrides: Overrides = {}): Promise<RunningApp> {
  const context = await createContext(settings, overrides);
  const { log, pool, redis, registry } = context;
  const lanes = [
    startDispatchLane(context),
    startRetryLane(context),
    startControlLane(context),
    startDeadLetters(context),
  ];
  const stopping = new AbortController();
  const memory = createWatchdogMemory();
  const watchdog = every(settings.watchdogIntervalMs, "watchdog", log, async () => {
    while ((await runOnce(context, memory)).hasMore && !stopping.signal.aborted);
  });
  const expiry = every(settings.watchdogIntervalMs, "expiry of held deliveries", log, () => expireHeld(context));
  const breakers = every(settings.watchdogIntervalMs, "reset of unused breakers", log, () =>
    resetUnusedBreakers(context),
  );
  // Redis may come back empty: repair its jobs at once, and those of deliveries within the watchdog's grace after that.
  const onRedisReady = () => {
    watchdog.trigger();
    setTimeout(watchdog.trigger, WATCHDOG_GRACE_MS + 500).unref();
  };
  redis.on("ready", onRedisReady);
  const upkeep = startUpkeep(context);
  const clockWatch = watchClock(context);
  const ready = async () => {
    const [postgres, redisHealth] = await Promise.all([postgresHealth(pool), healthOf(checkWrites(redis))]);
    // Postgres answers, and refuses what matters here.
    const records = context.recorder.outage.isUnderWay ? ("unavailable" as const) : postgres;
    return readinessOf({ postgres: records, redis: redisHealth }, ["postgres", "redis"]);
  };
  const admin = await startAdminServer({
    app: "worker",
    host: settings.adminHost,
    adminPort: settings.adminPort,
    registry,
    further: () => context.fleetMetrics.text(),
    ready,
  });
  const heartbeat = startHeartbeat(context, admin.port);
  log.info({ adminPort: admin.port, slots: settings.maxInFlight }, "worker is ready");
  return {
    log,
    stopDeadlineMs: settings.shutdownDeadlineMs,
    async stop() {
      redis.off("ready", onRedisReady);
      stopping.abort();
      const stopped = Promise.all([
        watchdog.stop(),
        expiry.stop(),
        breakers.stop(),
        upkeep.stop(),
        clockWatch.stop(),
        heartbeat.stop(),
        ...lanes.map((lane) => lane.stop()),
      ]);
      // Redis or Postgres may be unreachable. Postgres keeps every unfinished delivery, and other workers resume them.
      await Promise.race([stopped, sleep(settings.shutdownDeadlineMs * 0.8)]);
      context.recorder.giveUp();
      await closeServer(admin.server, 0);
      await Promise.race([context.close(), sleep(settings.shutdownDeadlineMs * 0.1)]);
    },
  };
}
