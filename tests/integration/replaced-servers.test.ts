import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { testWithOwnServers as test } from "@postrider/testkit/vitest.ts";
import { createProducerConnection, createWorkerConnection } from "@postrider/shared/queue/connection.ts";
import { startServerCheck } from "@postrider/shared/runtime/process/server-check.ts";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { createPool } from "@postrider/shared/store/pool.ts";
import { type Forwarder, startForwarder } from "@postrider/testkit/servers/forwarder.ts";
import { type RedisPair, startRedisPair } from "@postrider/testkit/servers/redis-pair.ts";
import { SERVERS_DIR } from "@postrider/testkit/servers/test-servers.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { startThrowawayPostgres, type Throwaway } from "../../scripts/services/index.ts";

const log = createLogger("worker", "silent");
const PASSWORD = "replaced";
let servers: Throwaway[];
let redisPair: RedisPair;
const cleanUp: (() => unknown)[] = [];

beforeAll(async () => {
  const start = () => startThrowawayPostgres(SERVERS_DIR, { password: PASSWORD });
  [servers, redisPair] = await Promise.all([Promise.all([start(), start()]), startRedisPair(SERVERS_DIR)]);
});
afterEach(async () => {
  for (const step of cleanUp.splice(0).toReversed()) await step();
});
afterAll(async () => {
  await Promise.all([...(servers ?? []), redisPair].map((one) => one?.stop()));
});

async function pooled() {
  const forwarder = await startForwarder(servers[0]!.url);
  cleanUp.push(() => forwarder.close());
  const databaseUrl = forwarder.through(servers[0]!.url);
  const pool = createPool(databaseUrl, "test", 3, log);
  cleanUp.push(() => pool.end());
  const check = startServerCheck({ databaseUrl, applicationName: "test", sockets: pool.sockets }, log);
  cleanUp.push(() => check.stop());
  const port = async () =>
    (await pool.query<{ port: number }>("select inet_server_port() as port")).rows[0]!.port.toString();
  return { forwarder, pool, port };
}

const checked = (forwarder: Forwarder, times = 1) => {
  const before = forwarder.accepted;
  return waitFor("the check of where connections lead", () => forwarder.accepted >= before + times);
};

test("a pool leaves a server that its name no longer leads to, even if that server still answers", async () => {
  const { forwarder, port } = await pooled();
  await checked(forwarder);
  const [first, second] = servers.map(({ url }) => new URL(url).port);
  expect(await port()).toBe(first);
  forwarder.leadTo(servers[1]!.url);
  // Each look uses the connection, so that the pool never closes it because it is idle.
  await waitFor("the pool's connections lead to the other server", async () => (await port()) === second);
});

test("a statement on a connection that carries nothing ends long before its own timeout", async () => {
  const { forwarder, pool, port } = await pooled();
  await checked(forwarder);
  await port();
  forwarder.silence();
  forwarder.leadTo(servers[1]!.url);
  await expect(pool.query("select 1")).rejects.toThrow("Connection terminated unexpectedly");
  expect(await port()).toBe(new URL(servers[1]!.url).port);
});

test("a Postgres that stands still keeps its connections", async () => {
  const { forwarder, pool } = await pooled();
  await checked(forwarder);
  const { rows } = await pool.query<{ pid: number }>("select pg_backend_pid() as pid");
  // The server of this connection, and the one that accepts new connections.
  for (const pid of [rows[0]!.pid, servers[0]!.pid]) process.kill(pid, "SIGSTOP");
  const pending = pool.query<{ pid: number }>("select pg_backend_pid() as pid");
  try {
    await checked(forwarder, 2);
  } finally {
    for (const pid of [rows[0]!.pid, servers[0]!.pid]) process.kill(pid, "SIGCONT");
  }
  expect((await pending).rows).toEqual(rows);
});

test("a connection to Redis is not ready while its server is a replica", async () => {
  const redis = createProducerConnection(redisPair.replica.url, log);
  cleanUp.push(() => redis.disconnect());
  const statuses: string[] = [];
  for (const status of ["connect", "ready", "close"]) redis.on(status, () => statuses.push(status));
  await waitFor("it has connected twice", () => statuses.filter((status) => status === "connect").length > 1);
  expect(statuses).not.toContain("ready");
  await redisPair.promote();
  await waitFor("it is ready", () => redis.status === "ready");
  await redis.set("written", "1");
});

test("a command that waits for a server which never answers is sent to the next one", async () => {
  const forwarder = await startForwarder(redisPair.primary.url);
  cleanUp.push(() => forwarder.close());
  const redis = createWorkerConnection(forwarder.through(redisPair.primary.url), log);
  const blocking = redis.duplicate();
  for (const one of [redis, blocking]) {
    cleanUp.push(() => one.disconnect());
    await one.ping();
  }
  forwarder.silence();
  forwarder.leadNowhere();
  const before = forwarder.accepted;
  const written = redis.set("silent", "1");
  const popped = blocking.blpop("silent-list", 3);
  await waitFor("both have dialled again", () => forwarder.accepted >= before + 2);
  forwarder.leadTo(redisPair.primary.url);
  expect(await written).toBe("OK");
  expect(await popped).toBeNull();
});
