import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { readSettings, SettingsError } from "./settings.ts";

const good = {
  DATABASE_URL: "postgres://someone:hunter2@127.0.0.1:5432/postrider",
  REDIS_URL: "redis://127.0.0.1:6379",
  ENCRYPTION_KEY: randomBytes(32).toString("base64"),
  API_KEYS: "0123456789abcdef, fedcba9876543210",
};

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    readSettings(env);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}

test("the defaults are the design's", () => {
  expect(readSettings(good)).toMatchObject({
    port: 3000,
    adminPort: 9100,
    consolePort: 3001,
    retrySchedule: [2_000, 4_000, 8_000, 16_000, 32_000],
    deliveryTimeoutMs: 10_000,
    breakerThreshold: 5,
    breakerCooldownMs: 60_000,
    holdLimitMs: 72 * 3_600_000,
    watchdogIntervalMs: 30_000,
    workers: 2,
    retentionDays: 30,
    apiKeys: ["0123456789abcdef", "fedcba9876543210"],
  });
});

test("every problem is reported at once, and no secret is repeated", () => {
  const problems = problemsOf({
    DATABASE_URL: "mysql://someone:hunter2@host/db",
    ENCRYPTION_KEY: "c2VjcmV0",
    API_KEYS: "tooshort",
    PORT: "http",
    DELIVERY_TIMEOUT: "10",
    RETRY_SCHEDULE: "2s,soon",
    ALLOWED_NETWORKS: "10.0.0.0/99",
    LOG_LEVEL: "loud",
  });
  for (const name of ["DATABASE_URL", "REDIS_URL", "ENCRYPTION_KEY", "API_KEYS", "PORT", "DELIVERY_TIMEOUT", "RETRY_SCHEDULE", "ALLOWED_NETWORKS", "LOG_LEVEL"]) {
    expect(problems.filter((problem) => problem.startsWith(`${name} `)), name).toHaveLength(1);
  } // prettier-ignore
  expect(problems.join()).not.toMatch(/hunter2|c2VjcmV0|tooshort/);
});

test("an empty variable counts as unset", () => {
  expect(readSettings({ ...good, PORT: "", RETRY_SCHEDULE: " " })).toMatchObject({ port: 3000 });
  expect(problemsOf({ ...good, REDIS_URL: "" })).toEqual(["REDIS_URL is required"]);
});

test("settings that contradict each other are refused", () => {
  expect(problemsOf({ ...good, SHUTDOWN_DEADLINE: "5s" })).toEqual([
    expect.stringMatching(/SHUTDOWN_DEADLINE.*DELIVERY_TIMEOUT/),
  ]);
  expect(problemsOf({ ...good, STALLED_INTERVAL: "11s" })).toHaveLength(1);
  expect(problemsOf({ ...good, HOLD_LIMIT: "30s" })).toHaveLength(1);
  expect(problemsOf({ ...good, RETENTION_DAYS: "2" })).toHaveLength(1);
});

test("what only one process needs is asked of that process", () => {
  const { API_KEYS: _unused, ...rest } = good;
  expect(readSettings(rest).apiKeys).toEqual([]);
  expect(() => readSettings(rest, ["API_KEYS", "CONSOLE_PASSWORD"])).toThrow(
    /API_KEYS is required[^]*CONSOLE_PASSWORD is required/,
  );
});
