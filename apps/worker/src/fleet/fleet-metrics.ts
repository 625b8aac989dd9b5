import type { Redis } from "ioredis";
import { Gauge, Registry } from "prom-client";
import type { FleetState } from "@postrider/shared/runtime/fleet/fleet-state.ts";
import { createExporterElection } from "./exporter-election.ts";

/** The fleet's state is read at most this often, however many scrapers there are. */
const CACHE_MS = 5_000;

/** The metrics of the whole fleet, exported by one of its workers. */
export interface FleetMetrics {
  /** Prometheus text; empty where another worker is the exporter. */
  text(): Promise<string>;
  /** Lets another worker become the exporter. */
  close(): Promise<void>;
}

/**
 * How far behind the fleet is, what it holds and what it uses. One worker exports these metrics: if every worker did, a
 * sum over the workers would be too large.
 */
export function createFleetMetrics(app: string, redis: Redis, read: () => Promise<FleetState>): FleetMetrics {
  const election = createExporterElection(redis);
  const registry = new Registry();
  registry.setDefaultLabels({ app });
  const gauges = registerGauges(registry);
  let readAt = Number.NEGATIVE_INFINITY;
  return {
    async text() {
      if (!(await election.isExporter())) return "";
      if (performance.now() - readAt > CACHE_MS) {
        readAt = performance.now();
        gauges.show(await read());
      }
      return registry.metrics();
    },
    close: () => election.resign(),
  };
}

function registerGauges(registry: Registry) {
  const gauge = <Label extends string = never>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Gauge({ name, help, labelNames: [...labelNames], registers: [registry] });
  const lanes = gauge(
    "postrider_lane_jobs",
    "Jobs in a lane's queue, by state (dispatch: batches of up to 100 deliveries; retry: single deliveries; control: releases and expansions)",
    ["lane", "state"],
  );
  const held = gauge("postrider_held", "Held deliveries, by reason", ["reason"]);
  const breakers = gauge(
    "postrider_breakers",
    "Subscriptions whose breaker is not closed, without disabled and deleted ones, by its state",
    ["state"],
  );
  const oldestDue = gauge(
    "postrider_oldest_due_seconds",
    "Age of the oldest delivery that should have been attempted by now; 0 where there is none",
  );
  const expansions = gauge("postrider_expansions", "Events whose deliveries are not all written yet");
  const oldestExpansion = gauge(
    "postrider_oldest_expansion_seconds",
    "Age of the oldest event whose deliveries are not all written yet; 0 where there is none",
  );
  const workers = gauge("postrider_workers", "Workers that sent a heartbeat within the last half minute");
  const watchdog = gauge("postrider_watchdog_last_run_timestamp_seconds", "When the watchdog last completed a run");
  const redisUsed = gauge("postrider_redis_memory_bytes", "Memory that Redis uses");
  const redisMax = gauge(
    "postrider_redis_memory_limit_bytes",
    "Memory that Redis may use; absent where it has no limit",
  );
  const databaseSize = gauge("postrider_database_size_bytes", "Size of the database");
  const serverConnections = gauge(
    "postrider_postgres_server_connections",
    "Open connections of the Postgres server, of all its clients, and its maximum",
    ["state"],
  );
  return {
    /** An unknown value is absent, so that an outage does not silence an alert. */
    show(state: FleetState): void {
      registry.resetMetrics();
      const set = (one: Gauge, value: number | undefined) => (value === undefined ? one.remove() : one.set(value));
      for (const { lane, state: jobState, jobs } of state.lanes ?? []) lanes.set({ lane, state: jobState }, jobs);
      for (const { reason, deliveries } of state.held ?? []) held.set({ reason }, deliveries);
      for (const [name, count] of Object.entries(state.breakers ?? {})) breakers.set({ state: name }, count);
      set(oldestDue, state.oldestDueSeconds);
      set(expansions, state.expansions?.unfinished);
      set(oldestExpansion, state.expansions?.oldestSeconds);
      set(workers, state.workers?.length);
      set(watchdog, state.watchdog?.lastRun && state.watchdog.lastRun.at / 1000);
      set(redisUsed, state.redis?.usedBytes);
      set(redisMax, state.redis?.maxBytes);
      set(databaseSize, state.postgres?.databaseBytes);
      if (state.postgres) {
        serverConnections.set({ state: "open" }, state.postgres.connections);
        serverConnections.set({ state: "max" }, state.postgres.maxConnections);
      }
    },
  };
}
