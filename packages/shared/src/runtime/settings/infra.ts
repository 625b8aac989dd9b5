import { z } from "zod";
import { duration, integer, text, url } from "./fields.ts";

/** Variables that every process reads. */
export const infraVariables = {
  DATABASE_URL: url("postgres://user:password@host:5432/postrider", "postgres:", "postgresql:"),
  REDIS_URL: url("redis://host:6379", "redis:", "rediss:"),
  HOST: text.default("127.0.0.1"),
  ADMIN_HOST: text.default("127.0.0.1"),
  ADMIN_PORT: integer(9100, 0, 65_533),
  BREAKER_THRESHOLD: integer(5, 1, 1000),
  BREAKER_RECENT_SUCCESS: duration("10s", "0ms", "1h"),
  BREAKER_COOLDOWN: duration("60s", "50ms", "24h"),
  SHUTDOWN_DEADLINE: duration("20s", "100ms", "10m"),
  LOG_LEVEL: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
};

const infraSchema = z.object(infraVariables);

/** The settings of every process; durations in milliseconds. */
export type InfraSettings = ReturnType<typeof infraSettings>;

export const infraSettings = (env: z.output<typeof infraSchema>) => ({
  databaseUrl: env.DATABASE_URL,
  redisUrl: env.REDIS_URL,
  host: env.HOST,
  adminHost: env.ADMIN_HOST,
  adminPort: env.ADMIN_PORT,
  breaker: {
    threshold: env.BREAKER_THRESHOLD,
    recentSuccessMs: env.BREAKER_RECENT_SUCCESS,
    cooldownMs: env.BREAKER_COOLDOWN,
  },
  shutdownDeadlineMs: env.SHUTDOWN_DEADLINE,
  logLevel: env.LOG_LEVEL,
});
