import { randomBytes } from "node:crypto";
import { Client } from "@postrider/testkit/client/client.ts";
import type { Env } from "@postrider/testkit/processes/managed-process.ts";
import { flushRedis } from "@postrider/testkit/servers/redis.ts";
import { Stack } from "@postrider/testkit/stack/stack.ts";
import type { Database } from "./database.ts";

export const API_KEY = randomBytes(24).toString("hex");
// One for the whole run: a database remembers the key that its secrets are sealed with.
export const ENCRYPTION_KEY = randomBytes(32).toString("base64");

/** Settings of every Postrider process; everything else has its default. */
export const postriderEnv = (databaseUrl: string, redisUrl: string): Env => ({
  NODE_ENV: "production",
  DATABASE_URL: databaseUrl,
  REDIS_URL: redisUrl,
  API_KEYS: API_KEY,
  ENCRYPTION_KEY,
  ALLOWED_NETWORKS: "127.0.0.0/8",
  // Nothing listens on port 9.
  ALLOWED_PORTS: "9,80,443,1024-65535",
  LOG_LEVEL: "warn",
});

/** A stack of which no process runs yet. @param profileDir where CPU profiles are written; undefined for none */
export const prepareStack = (env: Env, profileDir?: string): Promise<Stack> =>
  Stack.prepare({ env, processes: profileDir === undefined ? {} : { cpuProfileDir: profileDir } });

export const apiOf = (origin: string): Client => new Client(origin, API_KEY);

/** Removes all events, deliveries and subscriptions, and everything in Redis. */
export async function reset(database: Database, redisUrl: string): Promise<void> {
  await database.run(
    "truncate events, deliveries, expansions, attempts, idempotency_keys, subscriptions, subscription_patterns; checkpoint",
  );
  await flushRedis(redisUrl);
}

/** The same, but keeps events, deliveries and attempts as finished rows. */
export async function resetButHistory(database: Database, redisUrl: string): Promise<void> {
  await database.run("truncate idempotency_keys, subscriptions, subscription_patterns; checkpoint");
  await flushRedis(redisUrl);
}
