import { Redis } from "ioredis";
import pg from "pg";
import { afterAll, beforeAll, expect } from "vitest";
import { testWithOwnServers as test } from "@postrider/testkit/vitest.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { answer, failing, gate } from "@postrider/testkit/receiver/behaviours.ts";
import { type Receiver, startReceiver } from "@postrider/testkit/receiver/receiver.ts";
import type { AppProcess } from "@postrider/testkit/stack/app-process.ts";
import { localSettings, SHORT_TIMES } from "@postrider/testkit/stack/settings.ts";
import { Stack } from "@postrider/testkit/stack/stack.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { SERVERS_DIR } from "@postrider/testkit/servers/test-servers.ts";
import { migrate } from "@postrider/shared/store/migrate.ts";
import { startThrowawayPostgres, startThrowawayRedis, type Throwaway } from "../../../scripts/services/index.ts";

// This file stops its servers, so it has servers of its own.
let postgres: Throwaway;
let redis: Throwaway;
let stack: Stack;
let receiver: Receiver;

beforeAll(async () => {
  [postgres, redis] = await Promise.all([startThrowawayPostgres(SERVERS_DIR), startThrowawayRedis(SERVERS_DIR)]);
  await migrate(postgres.url);
  receiver = await startReceiver();
  stack = await Stack.prepare({
    env: {
      ...localSettings(postgres.url, redis.url),
      ...SHORT_TIMES,
      RETRY_SCHEDULE: "1s,1s,1s,1s,1s,1s,1s,1s",
    },
  });
  await Promise.all([stack.startIngest(), stack.startWorkers(2)]);
});
afterAll(async () => {
  expect(await stack?.stop()).toEqual([]);
  await receiver?.close();
  await Promise.all([postgres?.stop(), redis?.stop()]);
});

async function subscribed(behaviour = answer(200)) {
  const tenant = newTenant();
  const endpoint = receiver.endpoint(behaviour);
  const { id } = await stack.api.subscribe({ tenant, url: endpoint.url });
  const send = async (count: number) => {
    const events = Array.from({ length: count }, (_, order) => ({ type: "order.created", data: { order }, tenant }));
    return (await stack.api.sendBatch(events)).map((event) => event.id);
  };
  return { id, tenant, endpoint, send };
}

const readiness = async () => {
  const { status, body } = await stack.api.call<{ status: string; checks: Record<string, string> }>("GET", "/readyz");
  return { httpStatus: status, ...body };
};

test("events accepted while Redis is down are delivered when it is back, although it is empty", async () => {
  const { endpoint, send } = await subscribed();
  await redis.kill("SIGKILL");
  await waitFor(
    "readyz is degraded",
    async () => (await readiness()).status === "degraded" || (await readiness()).checks["redis"] !== "ok",
  );
  expect(await readiness()).toMatchObject({ checks: { postgres: "ok", redis: "unavailable" } });
  const sent = [...(await send(20)), ...(await send(1))];
  expect(endpoint.requests).toHaveLength(0);
  await redis.restart();
  await endpoint.untilEvents(sent);
  await waitFor("readyz is ok", async () => (await readiness()).checks["redis"] === "ok");
});

test("deliveries that wait for their retry survive a Redis without data, and no process restarts", async () => {
  const { endpoint, send } = await subscribed(failing(4, answer(500)));
  const sent = await send(4);
  for (const event of sent) await stack.api.untilDelivery(event, "retrying");
  await redis.kill("SIGKILL");
  await redis.restart();
  for (const event of sent) await stack.api.untilDelivery(event, "delivered");
  expect(endpoint.eventIds().size).toBe(4);
});

test("a worker that gets SIGTERM while Redis is down exits by itself", async () => {
  const worker = await stack.startWorker();
  await redis.kill("SIGKILL");
  try {
    expect(await worker.kill("SIGTERM")).toMatchObject({ signal: null });
  } finally {
    await redis.restart();
  }
});

test("while Postgres is down ingest answers 503 with Retry-After, and every process recovers by itself", async () => {
  const { endpoint, send, tenant } = await subscribed();
  const before = await send(20);
  await endpoint.untilEvents(before);
  await postgres.kill("SIGQUIT");
  const refused = await stack.api.call<{ code: string }>("POST", "/v1/events", {
    body: { type: "order.created", data: 1, tenant },
  });
  expect(refused.status).toBe(503);
  expect(refused.body.code).toBe("database_unavailable");
  expect(refused.headers.get("retry-after")).toMatch(/^\d+$/);
  expect((await stack.api.call("GET", "/readyz")).status).toBe(503);
  await postgres.restart();
  await waitFor("ingest is ready", async () => (await stack.api.call("GET", "/readyz")).status === 200);
  const after = await send(20);
  await endpoint.untilEvents(after);
});

test("a response that arrives while Postgres is down is recorded when it is back, and not sent again", async () => {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const { endpoint, send } = await subscribed((_request, response) => void held.then(() => response.end("ok")));
  const [event] = await send(1);
  await endpoint.untilRequests(1);
  await postgres.kill("SIGQUIT");
  release();
  await postgres.restart();
  expect(await stack.api.untilDelivery(event!, "delivered")).toMatchObject({ attemptCount: 1 });
  expect(endpoint.requests).toHaveLength(1);
});

const setReadOnly = async (isReadOnly: boolean) => {
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  await client.query(`set default_transaction_read_only = off`);
  await client.query(`alter system set default_transaction_read_only = ${isReadOnly ? "on" : "off"}`);
  await client.query("select pg_reload_conf()");
  await client.end();
};

test("while Postgres is read-only ingest answers 503, and outcomes are recorded once it accepts writes", async () => {
  const answering = gate();
  const { endpoint, send, tenant } = await subscribed(answering);
  const [event] = await send(1);
  await endpoint.untilRequests(1);
  await setReadOnly(true);
  const refused = await waitFor("ingest refuses", async () => {
    const answered = await stack.api.call("POST", "/v1/events", { body: { type: "order.refused", data: 1, tenant } });
    return answered.status !== 202 && answered;
  });
  expect(refused).toMatchObject({ status: 503, body: { code: "database_unavailable" } });
  answering.open();
  const isWaiting = (worker: AppProcess) =>
    /could not record attempts.*read-only|read-only.*could not record attempts/.test(worker.output(200));
  const waiting = await waitFor("the outcome waits", () => stack.workers.find(isWaiting));
  const isReady = async () => (await fetch(`${waiting.adminUrl}/readyz`)).status === 200;
  await waitFor("its worker is unready", async () => !(await isReady()));
  await setReadOnly(false);
  await waitFor("its worker is ready again", isReady);
  expect(await stack.api.untilDelivery(event!, "delivered")).toMatchObject({ attemptCount: 1 });
  expect(endpoint.requests.filter(({ headers }) => headers["webhook-id"] === event)).toHaveLength(1);
});

test("workers are unready while Redis is out of memory, log why, and deliver when there is room", async () => {
  const { endpoint, send } = await subscribed();
  const client = new Redis(redis.url);
  const worker = stack.workers[0]!;
  const isReady = async () => (await fetch(`${worker.adminUrl}/readyz`)).status === 200;
  await waitFor("the worker is ready", isReady);
  await client.config("SET", "maxmemory", "1");
  await client.config("SET", "maxmemory-policy", "noeviction");
  const sent = await send(10);
  await waitFor("the worker is unready", async () => !(await isReady()));
  await waitFor("the log says why", () => worker.output(200).includes("out of memory"));
  await client.config("SET", "maxmemory", "0");
  await client.quit();
  await endpoint.untilEvents(sent);
  await waitFor("the worker is ready again", isReady);
});
