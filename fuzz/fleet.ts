import { createHash, randomUUID } from "node:crypto";
import { Client } from "@postrider/testkit/client/client.ts";
import { createDatabase } from "@postrider/testkit/servers/database.ts";
import { claimRedis } from "@postrider/testkit/servers/redis.ts";
import { startTestServers } from "@postrider/testkit/servers/test-servers.ts";
import type { AppProcess } from "@postrider/testkit/stack/app-process.ts";
import { Stack } from "@postrider/testkit/stack/stack.ts";
import { withClient } from "../scripts/services/index.ts";
import { FuzzReceiver } from "./answers/receiver.ts";
import { TENANTS } from "./callers.ts";
import type { ServerName } from "./generate/call.ts";
import { INSPECTED } from "./heap.ts";
import { CREDENTIALS, ENCRYPTION_KEY } from "./secrets.ts";

/** Ingest, a worker, the console and a receiver, on a PostgreSQL and a Redis of their own. */
export interface Fleet {
  /** With the operator's key. */
  api: Client;
  clientOf(tenant: keyof typeof TENANTS): Client;
  receiver: FuzzReceiver;
  processes: readonly AppProcess[];
  ports: Readonly<Record<ServerName, number>>;
  consoleUrl: string;
  logFolder: string;
  databaseUrl: string;
  redisUrl: string;
  /** @returns what was wrong with how the processes ended */
  stop(): Promise<string[]>;
}

/** Short intervals, no breaker, and a log of everything. */
const SETTINGS = {
  HOST: "127.0.0.1",
  ALLOWED_NETWORKS: "127.0.0.0/8",
  LOG_LEVEL: "debug",
  BODY_TIMEOUT: "2s",
  RETRY_SCHEDULE: "100ms,200ms",
  DELIVERY_TIMEOUT: "2s",
  SHUTDOWN_DEADLINE: "10s",
  WATCHDOG_INTERVAL: "1s",
  // So that each answer decides about its own delivery only.
  BREAKER_THRESHOLD: "1000",
  BREAKER_COOLDOWN: "1s",
  READS_PER_TENANT: "64",
} as const;

export async function startFleet(seed: number, logFolder: string): Promise<Fleet> {
  const cleanUp: (() => Promise<unknown>)[] = [];
  try {
    const servers = await startTestServers();
    cleanUp.push(() => servers.stop());
    const database = await createDatabase(servers.postgresUrl);
    cleanUp.push(() => database.drop());
    const redis = await claimRedis(servers.redisUrl);
    cleanUp.push(() => redis.release());
    await addKeys(database.url);
    const receiver = await FuzzReceiver.start(seed);
    cleanUp.push(() => receiver.stop());
    const stack = await Stack.prepare({
      env: {
        ...SETTINGS,
        ...INSPECTED,
        DATABASE_URL: database.url,
        REDIS_URL: redis.url,
        API_KEYS: CREDENTIALS.operator,
        ENCRYPTION_KEY,
        CONSOLE_PASSWORD: CREDENTIALS.console,
      },
      processes: { logFolder },
    });
    const stop = async () => {
      const troubles = await stack.stop();
      return [...troubles, ...(await runAll(cleanUp))];
    };
    const [ingest, worker, console] = await Promise.all([
      stack.startIngest(),
      stack.startWorker(),
      stack.startConsole(),
    ]).catch(async (error: unknown) => {
      stack.abandon();
      throw error;
    });
    const portOf = (url: string): number => Number(new URL(url).port);
    return {
      api: stack.api,
      clientOf: (tenant) => new Client(stack.api.baseUrl, CREDENTIALS[tenant]),
      receiver,
      processes: [ingest, worker, console],
      ports: {
        api: portOf(stack.api.baseUrl),
        console: portOf(stack.consoleUrl),
        "admin-ingest": portOf(ingest.adminUrl),
        "admin-worker": portOf(worker.adminUrl),
        "admin-console": portOf(console.adminUrl),
      },
      consoleUrl: stack.consoleUrl,
      logFolder,
      databaseUrl: database.url,
      redisUrl: redis.url,
      stop,
    };
  } catch (error) {
    await runAll(cleanUp);
    throw error;
  }
}

/** Runs the last step first, and every one. @returns the messages of failures */
async function runAll(steps: readonly (() => Promise<unknown>)[]): Promise<string[]> {
  const failures: string[] = [];
  for (const step of steps.toReversed()) {
    await step().catch((error: Error) => failures.push(error.message));
  }
  return failures;
}

async function addKeys(databaseUrl: string): Promise<void> {
  const keys: [key: keyof typeof CREDENTIALS, scopes: string[], tenant: string | null, isExpired: boolean][] = [
    ["read-only", ["read"], null, false],
    ["write-only", ["write"], null, false],
    ["tenant-a", ["read", "write"], TENANTS["tenant-a"], false],
    ["tenant-b", ["read", "write"], TENANTS["tenant-b"], false],
    ["expired", ["read", "write"], null, true],
  ];
  await withClient(databaseUrl, async (client) => {
    for (const [key, scopes, tenant, isExpired] of keys) {
      await client.query(
        "insert into api_keys (id, name, hash, scopes, tenant, expires_at) values ($1, $2, $3, $4, $5, $6)",
        [randomUUID(), key, sha256(CREDENTIALS[key]), scopes, tenant, isExpired ? new Date(0) : null],
      );
    }
  });
}

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();
