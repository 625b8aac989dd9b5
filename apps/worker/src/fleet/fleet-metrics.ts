import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { Gauge, Registry } from "prom-client";
import type { FleetState } from "@postrider/shared/runtime/fleet/fleet-state.ts";
import { FLEET_EXPORTER_KEY } from "@postrider/shared/queue/keys.ts";

/** The fleet is looked at this often at most, however many scrapers there are. */
const CACHE_MS = 5_000;
/** Longer than scrapers wait between two scrapes; then another worker speaks for the fleet. */
const SPEAKER_MS = 60_000;

/** The figures of the whole fleet, from one worker of it. */
export interface FleetMetrics {
  /** Prometheus text; nothing where another worker speaks for the fleet. */
  text(): Promise<string>;
  /** Lets another worker speak for the fleet. */
  close(): Promise<void>;
}

/**
 * How far behind the fleet is, what it holds and what it uses. One worker exports it, the first that is scraped: from every
 * worker a sum over them would be as many times too large.
 */
export function createFleetMetrics(app: string, redis: Redis, read: () => Promise<FleetState>): FleetMetrics {
  const me = randomUUID();
  const registry = new Registry();
  registry.setDefaultLabels({ app });
  const gauges = registerGauges(registry);
  let isSpeaker = false;
  let readAt = Number.NEGATIVE_INFINITY;

  async function speaks(): Promise<boolean> {
    try {
      isSpeaker =
        (await redis.set(FLEET_EXPORTER_KEY, me, "PX", SPEAKER_MS, "NX")) === "OK" ||
        (await redis.get(FLEET_EXPORTER_KEY)) === me;
      if (isSpeaker) await redis.pexpire(FLEET_EXPORTER_KEY, SPEAKER_MS);
    } catch {
      // Redis is away, and nobody can take over: whoever spoke goes on, because Postgres has something to say.
    }
    return isSpeaker;
  }

  return {
    async text() {
      if (!(await speaks())) return "";
      if (performance.now() - readAt > CACHE_MS) {
        readAt = performance.now();
        gauges.show(await read());
      }
      return registry.metrics();
    },
    async close() {
      if (isSpeaker) await redis.del(FLEET_EXPORTER_KEY);
    },
  };
}

function registerGauges(registry: Registry) {
  const gauge = <Label extends string = never>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Gauge({ name, help, labelNames: [...labelNames], registers: [registry] });
  const lanes = gauge(
    "postrider_lane_jobs",
    "Jobs in a lane's queue, by state (dispatch: batches of up to 100 deliveries; retry: single deliveries; control: releases)",
    ["lane", "state"],
  );
  const held = gauge("postrider_held", "Deliveries that are held, by reason", ["reason"]);
  const breakers = gauge("postrider_breakers", "Subscriptions whose breaker is not closed, by its state", ["state"]);
  const oldestDue = gauge(
    "postrider_oldest_due_seconds",
    "Age of the oldest delivery that should have been attempted by now; 0 where there is none",
  );
  const workers = gauge("postrider_workers", "Workers that were heard of within the last half minute");
  const watchdog = gauge(
    "postrider_watchdog_last_run_timestamp_seconds",
    "When the watchdog last looked at everything",
  );
  const redisUsed = gauge("postrider_redis_memory_bytes", "Memory that Redis uses");
  const redisMost = gauge(
    "postrider_redis_memory_limit_bytes",
    "Memory that Redis may use; absent where it has no limit",
  );
  const databaseSize = gauge("postrider_database_size_bytes", "Size of the database");
  const serverConnections = gauge(
    "postrider_postgres_server_connections",
    "Connections that the Postgres server has, of whoever, and the most that it takes",
    ["state"],
  );
  return {
    /** What is unknown is absent, so that no alert is calmed by an outage. */
    show(state: FleetState): void {
      registry.resetMetrics();
      const set = (one: Gauge, value: number | undefined) => (value === undefined ? one.remove() : one.set(value));
      for (const { lane, state: jobState, jobs } of state.lanes ?? []) lanes.set({ lane, state: jobState }, jobs);
      for (const { reason, deliveries } of state.held ?? []) held.set({ reason }, deliveries);
      for (const [name, count] of Object.entries(state.breakers ?? {})) breakers.set({ state: name }, count);
      set(oldestDue, state.oldestDueSeconds);
      set(workers, state.workers?.length);
      set(watchdog, state.watchdog?.lastRun && state.watchdog.lastRun.at / 1000);
      set(redisUsed, state.redis?.usedBytes);
      set(redisMost, state.redis?.maxBytes);
      set(databaseSize, state.postgres?.databaseBytes);
      if (state.postgres) {
        serverConnections.set({ state: "open" }, state.postgres.connections);
        serverConnections.set({ state: "max" }, state.postgres.maxConnections);
      }
    },
  };
}
