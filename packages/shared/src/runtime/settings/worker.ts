import { z } from "zod";
import { formatDuration } from "../../core/duration.ts";
import { deliverySettings, deliveryVariables } from "./delivery.ts";
import { duration, integer } from "./fields.ts";
import { infraSettings, infraVariables } from "./infra.ts";
import { readSettings, variablesOf, type Environment } from "./read.ts";

const DAY_MS = 86_400_000;

const workerVariables = {
  HOLD_LIMIT: duration("72h", "1s", "30d"),
  DISABLE_AFTER: duration("5d", "1s", "90d"),
  WATCHDOG_INTERVAL: duration("30s", "100ms", "1h"),
  MAX_IN_FLIGHT: integer(256, 1, 10_000),
  RETENTION_DAYS: integer(30, 1, 3650),
  LOCK_DURATION: duration("10s", "500ms", "5m"),
  STALLED_INTERVAL: duration("5s", "100ms", "5m"),
};

const schema = z.object({ ...infraVariables, ...deliveryVariables, ...workerVariables }).transform((env) => ({
  ...infraSettings(env),
  ...deliverySettings(env),
  holdLimitMs: env.HOLD_LIMIT,
  disableAfterMs: env.DISABLE_AFTER,
  watchdogIntervalMs: env.WATCHDOG_INTERVAL,
  maxInFlight: env.MAX_IN_FLIGHT,
  retentionDays: env.RETENTION_DAYS,
  lockDurationMs: env.LOCK_DURATION,
  stalledIntervalMs: env.STALLED_INTERVAL,
}));

/** The names of the variables that the worker reads. */
export const WORKER_VARIABLES = variablesOf(schema);

export type WorkerSettings = Readonly<z.output<typeof schema>>;

/** @throws SettingsError */
export const readWorkerSettings = (env: Environment): WorkerSettings => readSettings(env, { schema, contradictions });

/** Finds valid settings that contradict each other. */
export function contradictions(settings: WorkerSettings): string[] {
  const named = (setting: string, ms: number) => `${setting} (${formatDuration(ms)})`;
  const shutdownDeadline = named("SHUTDOWN_DEADLINE", settings.shutdownDeadlineMs);
  const deliveryTimeout = named("DELIVERY_TIMEOUT", settings.deliveryTimeoutMs);
  const stalledInterval = named("STALLED_INTERVAL", settings.stalledIntervalMs);
  const lockDuration = named("LOCK_DURATION", settings.lockDurationMs);
  const holdLimit = named("HOLD_LIMIT", settings.holdLimitMs);
  const cooldown = named("BREAKER_COOLDOWN", settings.breaker.cooldownMs);
  const checks: [isWrong: boolean, problem: string][] = [
    [
      settings.shutdownDeadlineMs <= settings.deliveryTimeoutMs,
      `${shutdownDeadline} must be longer than ${deliveryTimeout}, or every deploy would abort requests under way`,
    ],
    [
      settings.stalledIntervalMs > settings.lockDurationMs,
      `${stalledInterval} must not be longer than ${lockDuration}`,
    ],
    [
      settings.holdLimitMs <= settings.breaker.cooldownMs,
      `${holdLimit} must be longer than ${cooldown}, or held deliveries would expire before the first probe`,
    ],
    [
      settings.holdLimitMs > settings.retentionDays * DAY_MS,
      `${holdLimit} must not be longer than RETENTION_DAYS (${settings.retentionDays}d)`,
    ],
  ];
  return checks.filter(([isWrong]) => isWrong).map(([, problem]) => problem);
}
