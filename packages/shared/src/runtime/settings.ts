import { BlockList } from "node:net";
import { z } from "zod";
import { parseNetworks } from "../core/address-rules.ts";
import { formatDuration, parseDuration } from "../core/duration.ts";
import { DEFAULT_RETRY_SCHEDULE, parseRetrySchedule, type RetrySchedule } from "../core/delivery/retry-schedule.ts";

/** Settings that were refused; `problems` holds one sentence per setting, all of them at once. */
export class SettingsError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`settings refused:\n${problems.map((problem) => `  - ${problem}`).join("\n")}`);
    this.name = "SettingsError";
    this.problems = problems;
  }
}

const text = z.string().trim();

const duration = (fallback: string, least: string, most: string) =>
  text.default(fallback).transform((value, issues) => {
    const ms = parseDuration(value);
    if (ms === undefined) {
      issues.addIssue(`must be a duration such as 250ms, 2s, 5m, 1h (got "${value}")`);
      return z.NEVER;
    }
    if (ms < parseDuration(least)! || ms > parseDuration(most)!) {
      issues.addIssue(`must be between ${least} and ${most} (got "${value}")`);
      return z.NEVER;
    }
    return ms;
  });

const integer = (fallback: number, least: number, most: number) =>
  text.default(String(fallback)).transform((value, issues) => {
    const number = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= least && number <= most)) {
      issues.addIssue(`must be a whole number from ${least} to ${most} (got "${value}")`);
      return z.NEVER;
    }
    return number;
  });

const url = (example: string, ...protocols: string[]) =>
  text.refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol), {
    // The value itself may carry a password, so it is not repeated.
    message: `must be a URL such as ${example}`,
  });

const encryptionKey = text.transform((value, issues) => {
  const key = Buffer.from(value, "base64");
  if (key.length !== 32) {
    issues.addIssue("must be 32 bytes in base64 (make one with: openssl rand -base64 32)");
    return z.NEVER;
  }
  return key;
});

const apiKeys = text.default("").transform((value, issues) => {
  const keys = value
    .split(",")
    .map((key) => key.trim())
    .filter(Boolean);
  if (keys.some((key) => key.length < 16)) {
    issues.addIssue("every key must have at least 16 characters (make one with: openssl rand -hex 24)");
    return z.NEVER;
  }
  return keys;
});

const retrySchedule = text.optional().transform((value, issues): RetrySchedule => {
  if (value === undefined || value === "") return DEFAULT_RETRY_SCHEDULE;
  const schedule = parseRetrySchedule(value === "standard" ? value : value.split(",").map((delay) => delay.trim()));
  if ("problem" in schedule) {
    issues.addIssue(schedule.problem);
    return z.NEVER;
  }
  return schedule;
});

const networks = text.default("").transform((value, issues): BlockList => {
  const list = parseNetworks(value);
  if ("problem" in list) {
    issues.addIssue(list.problem);
    return z.NEVER;
  }
  return list;
});

const schema = z.object({
  DATABASE_URL: url("postgres://user:password@host:5432/postrider", "postgres:", "postgresql:"),
  REDIS_URL: url("redis://host:6379", "redis:", "rediss:"),
  API_KEYS: apiKeys,
  ENCRYPTION_KEY: encryptionKey,
  HOST: text.default("127.0.0.1"),
  PORT: integer(3000, 0, 65_535),
  ADMIN_PORT: integer(9100, 0, 65_533),
  CONSOLE_PORT: integer(3001, 0, 65_535),
  CONSOLE_PASSWORD: text.default(""),
  RETRY_SCHEDULE: retrySchedule,
  DELIVERY_TIMEOUT: duration("10s", "50ms", "5m"),
  BREAKER_THRESHOLD: integer(5, 1, 1000),
  BREAKER_COOLDOWN: duration("60s", "50ms", "24h"),
  HOLD_LIMIT: duration("72h", "1s", "30d"),
  DISABLE_AFTER: duration("5d", "1s", "90d"),
  WATCHDOG_INTERVAL: duration("30s", "100ms", "1h"),
  MAX_IN_FLIGHT: integer(256, 1, 10_000),
  WORKERS: integer(2, 1, 64),
  ALLOWED_NETWORKS: networks,
  RETENTION_DAYS: integer(30, 1, 3650),
  SHUTDOWN_DEADLINE: duration("20s", "100ms", "10m"),
  LOCK_DURATION: duration("10s", "500ms", "5m"),
  STALLED_INTERVAL: duration("5s", "100ms", "5m"),
  LOG_LEVEL: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
});

/** Every setting of every process, parsed; durations in milliseconds. */
export type Settings = Readonly<ReturnType<typeof shape>>;

function shape(env: z.infer<typeof schema>) {
  return {
    databaseUrl: env.DATABASE_URL,
    redisUrl: env.REDIS_URL,
    apiKeys: env.API_KEYS,
    encryptionKey: env.ENCRYPTION_KEY,
    host: env.HOST,
    port: env.PORT,
    adminPort: env.ADMIN_PORT,
    consolePort: env.CONSOLE_PORT,
    consolePassword: env.CONSOLE_PASSWORD,
    retrySchedule: env.RETRY_SCHEDULE,
    deliveryTimeoutMs: env.DELIVERY_TIMEOUT,
    breakerThreshold: env.BREAKER_THRESHOLD,
    breakerCooldownMs: env.BREAKER_COOLDOWN,
    holdLimitMs: env.HOLD_LIMIT,
    disableAfterMs: env.DISABLE_AFTER,
    watchdogIntervalMs: env.WATCHDOG_INTERVAL,
    maxInFlight: env.MAX_IN_FLIGHT,
    workers: env.WORKERS,
    allowedNetworks: env.ALLOWED_NETWORKS,
    retentionDays: env.RETENTION_DAYS,
    shutdownDeadlineMs: env.SHUTDOWN_DEADLINE,
    lockDurationMs: env.LOCK_DURATION,
    stalledIntervalMs: env.STALLED_INTERVAL,
    logLevel: env.LOG_LEVEL,
  };
}

/** Settings that are each fine and together cannot work. */
function contradictions(settings: Settings): string[] {
  const problems: string[] = [];
  const refuse = (wrong: boolean, problem: string) => {
    if (wrong) problems.push(problem);
  };
  const name = (setting: string, ms: number) => `${setting} (${formatDuration(ms)})`;
  refuse(
    settings.shutdownDeadlineMs <= settings.deliveryTimeoutMs,
    `${name("SHUTDOWN_DEADLINE", settings.shutdownDeadlineMs)} must be longer than ${name("DELIVERY_TIMEOUT", settings.deliveryTimeoutMs)}, or requests under way would be cut off at every deploy`,
  );
  refuse(
    settings.stalledIntervalMs > settings.lockDurationMs,
    `${name("STALLED_INTERVAL", settings.stalledIntervalMs)} must not be longer than ${name("LOCK_DURATION", settings.lockDurationMs)}`,
  );
  refuse(
    settings.holdLimitMs <= settings.breakerCooldownMs,
    `${name("HOLD_LIMIT", settings.holdLimitMs)} must be longer than ${name("BREAKER_COOLDOWN", settings.breakerCooldownMs)}, or held deliveries would expire before the first probe`,
  );
  refuse(
    settings.holdLimitMs > settings.retentionDays * 86_400_000,
    `${name("HOLD_LIMIT", settings.holdLimitMs)} must not be longer than RETENTION_DAYS (${settings.retentionDays}d)`,
  );
  return problems;
}

/**
 * Reads the settings from environment variables. An empty variable counts as unset.
 *
 * @param alsoRequired names of settings that this process cannot do without though others can
 * @throws SettingsError with every problem at once; no value of a secret is repeated
 */
export function readSettings(
  env: Readonly<Record<string, string | undefined>>,
  alsoRequired: readonly ("API_KEYS" | "CONSOLE_PASSWORD")[] = [],
): Settings {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value?.trim()));
  const missing = alsoRequired.filter((name) => !given[name]).map((name) => `${name} is required`);
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => {
      const name = issue.path.join(".");
      return given[name] === undefined ? `${name} is required` : `${name} ${issue.message}`;
    });
    throw new SettingsError([...problems, ...missing]);
  }
  const settings = shape(parsed.data);
  const problems = [...missing, ...contradictions(settings)];
  if (problems.length > 0) throw new SettingsError(problems);
  return settings;
}
