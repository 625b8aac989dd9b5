import { createRequire } from "node:module";
import type { Redis } from "ioredis";
import type { Pool } from "pg";
import { collectDefaultMetrics, Gauge, Registry } from "prom-client";

const { version } = createRequire(import.meta.url)("../../../package.json") as { version: string };

/**
 * Creates a registry with the process's own metrics (CPU, memory, event-loop lag), its build info and an `app` label.
 */
export function createRegistry(app: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ app });
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: "postrider_build_info",
    help: "Always 1; the labels are the running versions",
    labelNames: ["version", "node"] as const,
    registers: [registry],
  }).set({ version, node: process.versions.node }, 1);
  return registry;
}

/** Registers metrics of this process's connections to Postgres and Redis. */
export function registerConnections(registry: Registry, pool: Pool, redis: Redis): void {
  new Gauge({
    name: "postrider_postgres_connections",
    help: "This process's connections to Postgres: busy, idle, and the maximum",
    labelNames: ["state"] as const,
    registers: [registry],
    collect() {
      this.set({ state: "busy" }, pool.totalCount - pool.idleCount);
      this.set({ state: "idle" }, pool.idleCount);
      this.set({ state: "max" }, pool.options.max);
    },
  });
  new Gauge({
    name: "postrider_postgres_waiting",
    help: "Statements of this process waiting for a connection to Postgres",
    registers: [registry],
    collect() {
      this.set(pool.waitingCount);
    },
  });
  new Gauge({
    name: "postrider_redis_up",
    help: "Whether this process is connected to Redis",
    registers: [registry],
    collect() {
      this.set(redis.status === "ready" ? 1 : 0);
    },
  });
}
