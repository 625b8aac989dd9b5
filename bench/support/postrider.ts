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

export function startWorker(env: Env, profileDir: string | undefined): Child {
  return new Child("worker", new URL("../../apps/worker/src/main.ts", import.meta.url), { env, profileDir });
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
export async function post<T>(origin: string, path: string, body: unknown): Promise<T> {
  const { statusCode, body: answer } = await request(`${origin}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${API_KEY}` },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (statusCode >= 300) throw new Error(`POST ${path} was answered ${statusCode}: ${text}`);
  return JSON.parse(text) as T;
}

/** Forgets all events, deliveries and subscriptions, and what Redis has of them. */
export async function reset(database: Database, redisUrl: string): Promise<void> {
  await database.run(
    "truncate events, deliveries, attempts, idempotency_keys, subscriptions, subscription_patterns; checkpoint",
  );
  await flushRedis(redisUrl);
}

export async function flushRedis(redisUrl: string): Promise<void> {
  const redis = new Redis(redisUrl);
  await redis.flushall();
  redis.disconnect();
}
