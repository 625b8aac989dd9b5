import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { request } from "undici";
import { freePort } from "../../scripts/services/ports.ts";
import { Child } from "./child.ts";
import type { Database } from "./database.ts";

export type Env = Readonly<Record<string, string>>;

/** Settings of every Postrider process; what is not here has its default. */
export const postriderEnv = (databaseUrl: string, redisUrl: string): Env => ({
  DATABASE_URL: databaseUrl,
  REDIS_URL: redisUrl,
  API_KEYS: API_KEY,
  ENCRYPTION_KEY,
  ALLOWED_NETWORKS: "127.0.0.0/8",
  LOG_LEVEL: "warn",
  ADMIN_PORT: "0",
});

export const API_KEY = randomBytes(24).toString("hex");
// One for the whole run: a database remembers the key that its secrets are sealed with.
const ENCRYPTION_KEY = randomBytes(32).toString("base64");
const READY_DEADLINE_MS = 30_000;

export interface Ingest {
  child: Child;
  origin: string;
}

export async function startIngest(
  env: Env,
  adopt: (child: Child) => Child,
  profileDir: string | undefined,
): Promise<Ingest> {
  const port = await freePort();
  const script = new URL("../../apps/ingest/src/main.ts", import.meta.url);
  const child = adopt(new Child("ingest", script, { env: { ...env, PORT: String(port) }, profileDir }));
  const origin = `http://127.0.0.1:${port}`;
  await untilReady(child, `${origin}/readyz`);
  return { child, origin };
}

const WORKER = new URL("../../apps/worker/src/main.ts", import.meta.url);

/** @param script another entry point, for a contender that is Postrider's worker save one thing */
export function startWorker(env: Env, profileDir: string | undefined, script = WORKER): Child {
  return new Child("worker", script, { env, profileDir });
}

/** Starts workers and waits until each answers on its admin port. */
export async function startReadyWorkers(count: number, start: (adminPort: string) => Child): Promise<Child[]> {
  const workers: { child: Child; url: string }[] = [];
  for (let number = 0; number < count; number += 1) {
    const port = await freePort();
    // A worker's admin port is the one after ADMIN_PORT.
    workers.push({ child: start(String(port - 1)), url: `http://127.0.0.1:${port}/readyz` });
  }
  await Promise.all(workers.map(({ child, url }) => untilReady(child, url)));
  return workers.map(({ child }) => child);
}

async function untilReady(child: Child, url: string): Promise<void> {
  const deadline = performance.now() + READY_DEADLINE_MS;
  while (!(await answers(url))) {
    if (!child.isRunning) throw child.failure("ended while it started");
    if (performance.now() > deadline) throw child.failure(`was not ready within ${READY_DEADLINE_MS} ms`);
    await sleep(50);
  }
}

/** Whether a GET of it is answered with 200. */
export async function answers(url: string): Promise<boolean> {
  try {
    const { statusCode, body } = await request(url);
    await body.dump();
    return statusCode === 200;
  } catch {
    return false;
  }
}

/** Posts to the API and answers the parsed body. */
export function post<T>(origin: string, path: string, body: unknown): Promise<T> {
  return ask<T>("POST", origin, path, JSON.stringify(body));
}

/** Reads from the API and answers the parsed body. */
export function get<T>(origin: string, path: string): Promise<T> {
  return ask<T>("GET", origin, path, null);
}

async function ask<T>(method: "GET" | "POST", origin: string, path: string, sent: string | null): Promise<T> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${API_KEY}` };
  const { statusCode, body } = await request(`${origin}${path}`, { method, headers, body: sent });
  const text = await body.text();
  if (statusCode >= 300) throw new Error(`${method} ${path} was answered ${statusCode}: ${text}`);
  return JSON.parse(text) as T;
}

/** Forgets all events, deliveries and subscriptions, and what Redis has of them. */
export async function reset(database: Database, redisUrl: string): Promise<void> {
  await database.run(
    "truncate events, deliveries, attempts, idempotency_keys, subscriptions, subscription_patterns; checkpoint",
  );
  await flushRedis(redisUrl);
}

/** The same, but for events, deliveries and attempts: they are finished, and there to be in the way. */
export async function resetButHistory(database: Database, redisUrl: string): Promise<void> {
  await database.run("truncate idempotency_keys, subscriptions, subscription_patterns; checkpoint");
  await flushRedis(redisUrl);
}

export async function flushRedis(redisUrl: string): Promise<void> {
  const redis = new Redis(redisUrl);
  await redis.flushdb();
  redis.disconnect();
}
