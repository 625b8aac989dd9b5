import { createServer, type Server } from "node:http";
import { UnrecoverableError, Worker } from "bullmq";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { readConsoleSettings } from "@postrider/shared/runtime/settings/console.ts";
import { ensureCurrentPartitions } from "@postrider/shared/store/partitions.ts";
import { closeServer, listen } from "@postrider/shared/runtime/listen.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { retryJob, retryJobId } from "@postrider/shared/queue/jobs.ts";
import { DEAD_LETTERS } from "@postrider/shared/queue/queues.ts";
import { KEY_PREFIX } from "@postrider/shared/queue/keys.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import type { TestDatabase } from "@postrider/testkit/servers/database.ts";
import type { TestRedis } from "@postrider/testkit/servers/redis.ts";
import { localSettings } from "@postrider/testkit/stack/settings.ts";
import { claimTestRedis, createTestDatabase } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { createApp } from "../../../apps/console/src/app.ts";
import { createContext, type Context } from "../../../apps/console/src/context.ts";

/** The job name of every delivery of these tests, and the parts it is made of. */
export const NAME = "order.created → shop.example";
export const TITLE = { eventType: "order.created", url: "https://shop.example/" };

export interface ConsoleSettings {
  env: Record<string, string>;
}

/** Settings of a console on a database and a Redis of their own, for the tests of this file. */
export function useConsoleSettings(): ConsoleSettings {
  const used = {} as ConsoleSettings;
  let database: TestDatabase | undefined;
  let redis: TestRedis | undefined;
  beforeAll(async () => {
    [database, redis] = await Promise.all([createTestDatabase(), claimTestRedis()]);
    used.env = { ...localSettings(database.url, redis.url), LOG_LEVEL: "silent" };
  });
  afterAll(async () => {
    await redis?.release();
    await database?.drop();
  });
  return used;
}

export interface UsedConsole extends ConsoleSettings {
  app: RunningConsole;
}

/** A console for the tests of this file. Each test begins with an empty retry queue. */
export function useConsole(): UsedConsole {
  const used = useConsoleSettings() as UsedConsole;
  beforeAll(async () => {
    used.app = await startConsole(used.env);
    const isReady = async () => (await used.app.context.readiness()).status === "ok";
    await waitFor("the console is connected to Redis", isReady);
    await ensureCurrentPartitions(used.app.context.pool);
  });
  beforeEach(async () => {
    await used.app.context.queues.retry.obliterate({ force: true });
    await used.app.context.queues.deadLetters.obliterate({ force: true });
  });
  afterAll(() => used.app?.stop());
  return used;
}

type RunningConsole = Awaited<ReturnType<typeof startConsole>>;

/** Runs the console in this process on a free port. */
export async function startConsole(settings: Record<string, string>) {
  const logged: object[] = [];
  const context: Context = { ...createContext(readConsoleSettings(settings)), log: collect(logged) };
  const { pool, queues } = context;
  const server: Server = createServer(createApp(context));
  const url = `http://127.0.0.1:${await listen(server, "127.0.0.1", [0])}`;
  const basic = { authorization: `Basic ${btoa(`operator:${settings["CONSOLE_PASSWORD"]}`)}` };

  function call(method: string, path: string, headers: Record<string, string> = {}, body?: string): Promise<Response> {
    const type: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
    return fetch(url + path, { method, headers: { ...type, ...headers }, redirect: "manual", body: body ?? null });
  }

  const app = {
    context,
    url,
    basic,
    logged,
    call,
    get: (path: string, headers?: Record<string, string>) => call("GET", path, headers),
    put: (path: string, headers?: Record<string, string>) => call("PUT", path, headers),
    post: (path: string, form: Record<string, string>, headers: Record<string, string> = {}) =>
      fetch(url + path, { method: "POST", body: new URLSearchParams(form), headers, redirect: "manual" }),
    // oxlint-disable-next-line typescript/no-explicit-any -- Bull Board's answers, of which a test reads one field
    json: async (path: string): Promise<any> => (await call("GET", path, basic)).json(),

    /** @returns the cookie of a new session */
    async logIn(): Promise<string> {
      const answer = await app.post("/login", { password: settings["CONSOLE_PASSWORD"]! });
      return answer.headers.get("set-cookie")!.split(";")[0]!;
    },

    /** Inserts a delivery without a job. */
    async insertDelivery(state: "dead" | "retrying"): Promise<string> {
      const [subscription, event, delivery] = [newId(), newId(), newId()];
      await pool.query(
        `insert into subscriptions (id, tenant, url, event_types, secrets, headers, max_in_flight, metadata)
         values ($1, 'default', 'https://shop.example/hook', '{*}', '[]', '{}', 32, '{}')`,
        [subscription],
      );
      await pool.query(
        "insert into events (id, tenant, type, body, delivery_count) values ($1, 'default', 'order.created', '{}', 1)",
        [event],
      );
      await pool.query(
        `insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, dead_reason, settled_at, next_attempt_at)
         values ($1, $2, $3, 'default', 'order.created', $4, $5, $6, $7)`,
        state === "dead"
          ? [delivery, event, subscription, state, "exhausted", new Date(), null]
          : [delivery, event, subscription, state, null, null, new Date()],
      );
      return delivery;
    },

    /** Inserts a dead delivery and its failed job, as a worker leaves them. @param name the queue that shows it */
    async deadLetter(name: "retry" | typeof DEAD_LETTERS = "retry"): Promise<string> {
      const delivery = await app.insertDelivery("dead");
      if (name === "retry") await queues.retry.addBulk([retryJob({ delivery, cycle: 0, ...TITLE, delayMs: 0 })]);
      else await context.enqueue.showDeadLetters([{ delivery, cycle: 0, ...TITLE, error: "blocked" }]);
      const connection = new Redis(settings["REDIS_URL"]!, { maxRetriesPerRequest: null });
      const worker = new Worker(name, null, { connection, prefix: KEY_PREFIX, autorun: false });
      // Other tests leave retried jobs behind, and the oldest waiting job comes first.
      for (let job = await worker.getNextJob("test"); job; job = await worker.getNextJob("test", { block: false })) {
        if (job.data.delivery !== delivery) continue;
        await job.moveToFailed(new UnrecoverableError("exhausted: 503 Service Unavailable"), "test");
        break;
      }
      await worker.close();
      connection.disconnect();
      return delivery;
    },

    async row(delivery: string): Promise<unknown> {
      return (await pool.query("select state, cycle from deliveries where id = $1", [delivery])).rows[0];
    },
    jobState: (delivery: string, cycle: number) => queues.retry.getJobState(retryJobId(delivery, cycle)),

    async stop() {
      await closeServer(server, 0);
      await context.close();
    },
  };
  return app;
}

/** A log that keeps its lines in memory. */
function collect(logged: object[]): Logger {
  const keep = (line: object) => void logged.push(line);
  return { info: keep, warn: keep, error: keep } as unknown as Logger;
}
