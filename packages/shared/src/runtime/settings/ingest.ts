import { z } from "zod";
import { formatDuration } from "../../core/duration.ts";
import { deliverySettings, deliveryVariables } from "./delivery.ts";
import { apiKeys, duration, integer } from "./fields.ts";
import { infraSettings, infraVariables } from "./infra.ts";
import { readSettings, variablesOf, type Environment } from "./read.ts";
import { serverContradictions, serverSettings, serverVariables } from "./server.ts";

const ingestVariables = {
  PORT: integer(3000, 0, 65_535),
  API_KEYS: apiKeys,
  DRAIN_DELAY: duration("0s", "0ms", "10m"),
  READ_POOL_SIZE: integer(4, 1, 100),
  READ_TIMEOUT: duration("5s", "100ms", "60s"),
  READS_PER_TENANT: integer(8, 1, 1_000),
  MAX_CONNECTIONS: integer(5_000, 1, 1_000_000),
  // One caller may use half of it, which has to be more than the largest body takes while it is decoded.
  BODY_MEMORY_MIB: integer(128, 64, 65_536),
  // Many receivers' parsers refuse deeper nesting, or crash: 64 to 1,000 levels are usual limits.
  MAX_JSON_DEPTH: integer(100, 10, 1_000),
  BODY_TIMEOUT: duration("30s", "100ms", "5m"),
  MAX_SUBSCRIPTIONS_PER_TENANT: integer(10_000, 1, 1_000_000_000),
  MAX_BACKLOG_PER_TENANT: integer(0, 0, 1_000_000_000),
};

const schema = z
  .object({ ...infraVariables, ...deliveryVariables, ...serverVariables, ...ingestVariables })
  .transform((env) => ({
    ...infraSettings(env),
    ...deliverySettings(env),
    ...serverSettings(env),
    port: env.PORT,
    apiKeys: env.API_KEYS,
    drainDelayMs: env.DRAIN_DELAY,
    readPoolSize: env.READ_POOL_SIZE,
    readTimeoutMs: env.READ_TIMEOUT,
    readsPerTenant: env.READS_PER_TENANT,
    maxConnections: env.MAX_CONNECTIONS,
    bodyMemoryBytes: env.BODY_MEMORY_MIB * 1024 * 1024,
    maxJsonDepth: env.MAX_JSON_DEPTH,
    bodyTimeoutMs: env.BODY_TIMEOUT,
    maxSubscriptionsPerTenant: env.MAX_SUBSCRIPTIONS_PER_TENANT,
    /** 0 is no limit. */
    maxBacklogPerTenant: env.MAX_BACKLOG_PER_TENANT,
  }));

/** The names of the variables that the API reads. */
export const INGEST_VARIABLES = variablesOf(schema);

export type IngestSettings = Readonly<z.output<typeof schema>>;

/** @throws SettingsError */
export const readIngestSettings = (env: Environment): IngestSettings => readSettings(env, { schema, contradictions });

/** Finds valid settings that contradict each other. */
function contradictions(settings: IngestSettings): string[] {
  const { drainDelayMs, shutdownDeadlineMs } = settings;
  const problems = serverContradictions(settings);
  if (drainDelayMs > shutdownDeadlineMs / 2) {
    problems.push(
      `DRAIN_DELAY (${formatDuration(drainDelayMs)}) must be at most half of SHUTDOWN_DEADLINE ` +
        `(${formatDuration(shutdownDeadlineMs)}), which leaves the rest for requests under way`,
    );
  }
  return problems;
}
