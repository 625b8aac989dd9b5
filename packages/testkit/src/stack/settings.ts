import { randomBytes } from "node:crypto";
import type { Env } from "../processes/managed-process.ts";

/**
 * Intervals of a second, so that a test can wait for what follows them. Deadlines whose expiry would repeat a request
 * are long: a busy machine must not cause a second attempt.
 */
export const SHORT_TIMES: Env = {
  RETRY_SCHEDULE: "100ms,200ms,400ms",
  DELIVERY_TIMEOUT: "30s",
  SHUTDOWN_DEADLINE: "35s",
  WATCHDOG_INTERVAL: "1s",
  LOCK_DURATION: "20s",
  STALLED_INTERVAL: "10s",
  BREAKER_COOLDOWN: "1s",
  // The threshold alone decides, unless a test says otherwise.
  BREAKER_RECENT_SUCCESS: "0ms",
};

/** For tests in which workers are killed: another worker takes over their jobs after two seconds. */
export const QUICK_TAKEOVER: Env = {
  DELIVERY_TIMEOUT: "2500ms",
  SHUTDOWN_DEADLINE: "3s",
  LOCK_DURATION: "2s",
  STALLED_INTERVAL: "1s",
};

/** BREAKER_THRESHOLD, where a test does not set it. */
export const THRESHOLD = 5;

/** The settings that the processes of one stack share: local, with secrets of their own. */
export function localSettings(databaseUrl: string, redisUrl: string): Env {
  return {
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    API_KEYS: `test_${randomBytes(24).toString("hex")}`,
    ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    CONSOLE_PASSWORD: randomBytes(12).toString("hex"),
    HOST: "127.0.0.1",
    ALLOWED_NETWORKS: "127.0.0.0/8,::1/128",
    // Nothing listens on port 9.
    ALLOWED_PORTS: "9,80,443,1024-65535",
  };
}
