import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { readConsoleSettings } from "./console.ts";
import { readIngestSettings } from "./ingest.ts";
import { SettingsError } from "./read.ts";
import { readStackSettings } from "./stack.ts";
import { readWorkerSettings } from "./worker.ts";

const good = {
  DATABASE_URL: "postgres://someone:hunter2@127.0.0.1:5432/postrider",
  REDIS_URL: "redis://127.0.0.1:6379",
  ENCRYPTION_KEY: randomBytes(32).toString("base64"),
  API_KEYS: "9b1f6c02e7d84a53, 5d20c9e1f7b8a364",
  CONSOLE_PASSWORD: "correct horse",
};

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    readStackSettings(env);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}

test("the defaults are the documented ones", () => {
  expect(readStackSettings(good)).toMatchObject({
    port: 3000,
    adminPort: 9100,
    consolePort: 3001,
    keepAliveTimeoutMs: 75_000,
    headersTimeoutMs: 80_000,
    drainDelayMs: 0,
    retrySchedule: [2_000, 4_000, 8_000, 16_000, 32_000],
    deliveryTimeoutMs: 15_000,
    maxJsonDepth: 100,
    breaker: { threshold: 5, recentSuccessMs: 10_000, cooldownMs: 60_000 },
    holdLimitMs: 72 * 3_600_000,
    watchdogIntervalMs: 30_000,
    workers: 2,
    retentionDays: 30,
    apiKeys: ["9b1f6c02e7d84a53", "5d20c9e1f7b8a364"],
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
    DENIED_NETWORKS: "::ffff:10.0.0.0/104",
    ALLOWED_PORTS: "80,0-65535",
    MAX_JSON_DEPTH: "5000",
    DNS_SERVERS: "10.0.0.2, dns.example",
    LOG_LEVEL: "loud",
  });
  const names =
    "DATABASE_URL REDIS_URL ENCRYPTION_KEY API_KEYS PORT DELIVERY_TIMEOUT RETRY_SCHEDULE ALLOWED_NETWORKS DENIED_NETWORKS ALLOWED_PORTS MAX_JSON_DEPTH DNS_SERVERS LOG_LEVEL";
  for (const name of names.split(" ")) {
    expect(
      problems.filter((problem) => problem.startsWith(`${name} `)),
      name,
    ).toHaveLength(1);
  }
  expect(problems.join()).not.toMatch(/hunter2|c2VjcmV0|tooshort/);
});

test("no form of the error repeats a secret, whichever setting contains it", () => {
  const secrets = {
    DATABASE_URL: "postgres:/hunter2:nothing",
    REDIS_URL: "http://:hunter3@host:6379",
    ENCRYPTION_KEY: Buffer.from("hunter4".repeat(4)).toString("base64"),
    API_KEYS: "9b1f6c02e7d84a53,hunter5",
    CONSOLE_PASSWORD: "hunter6",
  };
  const valid = {
    ...good,
    API_KEYS: "hunter7-9b1f6c02e7d84a53",
    CONSOLE_PASSWORD: "hunter8 and a horse",
    SHUTDOWN_DEADLINE: "1s",
  };
  for (const env of [secrets, valid]) {
    let output = "";
    try {
      readStackSettings(env);
    } catch (error) {
      output = `${String(error)} ${JSON.stringify(error)} ${String((error as Error).cause)}`;
    }
    expect(output).toMatch(/settings refused/);
    for (const secret of Object.values(env).filter((value) => value !== "1s")) expect(output).not.toContain(secret);
    expect(output).not.toMatch(/hunter/);
  }
});

test("all contradictions are reported at once, each naming both of its settings", () => {
  const problems = problemsOf({
    ...good,
    SHUTDOWN_DEADLINE: "10s",
    STALLED_INTERVAL: "1m",
    BREAKER_COOLDOWN: "24h",
    HOLD_LIMIT: "24h",
    RETENTION_DAYS: "1",
  });
  expect(problems).toEqual([
    expect.stringMatching(/^SHUTDOWN_DEADLINE \(10s\).*DELIVERY_TIMEOUT \(15s\)/),
    expect.stringMatching(/^STALLED_INTERVAL \(1m\).*LOCK_DURATION \(10s\)/),
    expect.stringMatching(/^HOLD_LIMIT \(1d\).*BREAKER_COOLDOWN \(1d\)/),
  ]);
});

test("DNS servers are a list of addresses, or those of the system", () => {
  const DNS_SERVERS = "10.0.0.2, 10.0.0.3:5353,[fd00::2]:53";
  expect(readStackSettings({ ...good, DNS_SERVERS }).dnsServers).toEqual(["10.0.0.2", "10.0.0.3:5353", "[fd00::2]:53"]);
  expect(readStackSettings(good).dnsServers).toBeUndefined();
});

test("there may be several encryption keys, each of 32 bytes and each once", () => {
  const [newer, older] = [randomBytes(32), randomBytes(32)].map((key) => key.toString("base64")) as [string, string];
  const { encryptionKeys } = readStackSettings({ ...good, ENCRYPTION_KEY: `${newer}, ${older}` });
  expect(encryptionKeys.map((key) => key.toString("base64"))).toEqual([newer, older]);
  for (const keys of [`${newer},`, `${newer},c2hvcnQ=`, `${newer} ${older}`]) {
    expect(problemsOf({ ...good, ENCRYPTION_KEY: keys })).toEqual([expect.stringMatching(/^ENCRYPTION_KEY must be/)]);
  }
  expect(problemsOf({ ...good, ENCRYPTION_KEY: `${newer},${newer}` })).toEqual(["ENCRYPTION_KEY has a key twice"]);
});

test("an empty variable counts as unset", () => {
  expect(readStackSettings({ ...good, PORT: "", RETRY_SCHEDULE: " " })).toMatchObject({ port: 3000 });
  expect(problemsOf({ ...good, REDIS_URL: "" })).toEqual(["REDIS_URL is required"]);
});

test("settings that contradict each other are refused", () => {
  expect(problemsOf({ ...good, SHUTDOWN_DEADLINE: "5s" })).toEqual([
    expect.stringMatching(/SHUTDOWN_DEADLINE.*DELIVERY_TIMEOUT/),
  ]);
  expect(problemsOf({ ...good, STALLED_INTERVAL: "11s" })).toHaveLength(1);
  expect(problemsOf({ ...good, HOLD_LIMIT: "30s" })).toHaveLength(1);
  expect(problemsOf({ ...good, RETENTION_DAYS: "2" })).toHaveLength(1);
  expect(problemsOf({ ...good, DRAIN_DELAY: "11s" })).toEqual([
    expect.stringMatching(/^DRAIN_DELAY \(11s\).*SHUTDOWN_DEADLINE \(20s\)/),
  ]);
  expect(problemsOf({ ...good, KEEP_ALIVE_TIMEOUT: "80s" })).toEqual([
    expect.stringMatching(/^HEADERS_TIMEOUT \(80s\).*KEEP_ALIVE_TIMEOUT \(80s\)/),
  ]);
});

test("a process needs only its own settings", () => {
  const { API_KEYS, CONSOLE_PASSWORD, ENCRYPTION_KEY, ...infra } = good;
  expect(() => readWorkerSettings({ ...infra, ENCRYPTION_KEY })).not.toThrow();
  expect(() => readIngestSettings({ ...infra, ENCRYPTION_KEY, API_KEYS })).not.toThrow();
  expect(() => readConsoleSettings({ ...infra, CONSOLE_PASSWORD })).not.toThrow();
  expect(() => readWorkerSettings(infra)).toThrow(/ENCRYPTION_KEY is required/);
  expect(() => readIngestSettings({ ...infra, ENCRYPTION_KEY })).toThrow(/API_KEYS is required/);
  expect(() => readConsoleSettings(infra)).toThrow(/CONSOLE_PASSWORD is required/);
});

test("a process ignores invalid settings of other processes", () => {
  const { API_KEYS: _unused, ...others } = good;
  expect(() => readWorkerSettings({ ...others, API_KEYS: "short", PORT: "http" })).not.toThrow();
  expect(readIngestSettings({ ...good, HOLD_LIMIT: "soon" })).not.toHaveProperty("holdLimitMs");
});

test("the error of a stack names the missing settings of all processes, each once", () => {
  expect(problemsOf({ REDIS_URL: good.REDIS_URL })).toEqual([
    "DATABASE_URL is required",
    "ENCRYPTION_KEY is required",
    "API_KEYS is required",
    "CONSOLE_PASSWORD is required",
  ]);
});
