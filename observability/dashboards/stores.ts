import { lines, means, type Dashboard } from "./panels.ts";

export const stores: Dashboard = {
  uid: "postrider-stores",
  title: "Postrider: Postgres and Redis",
  panels: [
    lines("Postgres: connections per process", "short", "All connections busy for long: Postgres is slow.", [
      { expr: "sum by (app, state) (postrider_postgres_connections)", legend: "{{app}} {{state}}" },
    ]),
    lines("Postgres: statements waiting for a connection", "short", "Normally 0.", [
      { expr: "sum by (app) (postrider_postgres_waiting)", legend: "{{app}}" },
    ]),
    lines(
      "Postgres: connections of the server",
      "short",
      "Connections of all clients. At the maximum new connections fail.",
      [{ expr: "max by (state) (postrider_postgres_server_connections)", legend: "{{state}}" }],
    ),
    lines("Postgres: size of the database", "bytes", "Falls when partitions older than RETENTION_DAYS are dropped.", [
      { expr: "max(postrider_database_size_bytes)", legend: "database" },
    ]),
    lines("Postgres: mean duration of a commit", "s", "For accepted events and for recorded outcomes.", [
      means("postrider_flush_duration_seconds", "kind"),
    ]),
    lines("Redis: memory", "bytes", "If it is full, no job can be added.", [
      { expr: "max(postrider_redis_memory_bytes)", legend: "used" },
      { expr: "max(postrider_redis_memory_limit_bytes) or vector(0)", legend: "limit (0: none)" },
    ]),
    lines("Redis: connected processes", "short", "Below the number of processes if some have lost their connection.", [
      { expr: "sum by (app) (postrider_redis_up)", legend: "{{app}}" },
    ]),
  ],
};
