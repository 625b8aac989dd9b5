import { createRequire } from "node:module";
import type { Redis } from "ioredis";
import type { Pool } from "pg";
import { collectDefaultMetrics, Gauge, Registry } from "prom-client";

const { version } = createRequire(import.meta.url)("../../../package.json") as { version: string };

/** A registry with the process's own figures (CPU, memory, event-loop lag), what is running, and a label that names the app. */
export function createRegistry(app: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ app });
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: "postrider_build_info",
    help: "1, with what is running",
    labelNames: ["version", "node"] as const,
    registers: [registry],
  }).set({ version, node: process.versions.node }, 1);
  return registry;
}

/** What a process has of Postgres and Redis. */
export function registerConnections(registry: Registry, pool: Pool, redis: Redis): void {
  new Gauge({
    name: "postrider_postgres_connections",
    help: "This process's connections to Postgres: busy, idle, and the most that it may have",
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
    help: "Statements of this process that wait for a connection to Postgres",
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
