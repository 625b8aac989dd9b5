import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import pg from "pg";
import { afterEach, beforeEach, expect } from "vitest";
import { testWithOwnServers as test } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { ensureServices, startThrowawayPostgres, startThrowawayRedis } from "../../scripts/services/index.ts";
import { needPostgres, needRedis } from "../../scripts/services/install.ts";
import { isAlive } from "../../scripts/services/processes.ts";

const root = resolve(import.meta.dirname, "../..");
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "services-test-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("a throwaway server that is stopped leaves no process and no data", async () => {
  const servers = [await startThrowawayPostgres(dir), await startThrowawayRedis(dir)];
  expect(servers.every(({ pid }) => isAlive(pid))).toBe(true);
  const pids = servers.map(({ pid }) => pid);
  for (const server of servers) await server.stop();
  expect(pids.some(isAlive)).toBe(false);
  expect(readdirSync(dir)).toEqual([]);
});

test("a throwaway Postgres restarts with its data after kill -9", async () => {
  const server = await startThrowawayPostgres(dir);
  try {
    await query(server.url, "create table kept as select 1");
    await server.kill("SIGKILL");
    await server.restart();
    expect(await query(server.url, "select * from kept")).toHaveLength(1);
  } finally {
    await server.stop();
  }
});

test("throwaway servers end with the process that started them, even if it is killed", async () => {
  const script = `
    import { startThrowawayPostgres, startThrowawayRedis } from "${root}/scripts/services/index.ts";
    const [dir] = process.argv.slice(-1);
    console.log((await startThrowawayPostgres(dir)).pid);
    console.log((await startThrowawayRedis(dir)).pid);
    setInterval(() => undefined, 1000);
  `;
  const parent = spawn(process.execPath, ["--input-type=module", "-e", script, dir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const pids: number[] = [];
  for await (const line of createInterface(parent.stdout)) {
    pids.push(Number(line));
    if (pids.length === 2) break;
  }
  parent.kill("SIGKILL");
  await once(parent, "exit");
  await waitFor("both servers are gone", () => !pids.some(isAlive));
  await waitFor("their folders are gone", () => readdirSync(dir).length === 0);
});

test("a server starts despite a stale pid file with the pid of another process", async () => {
  const options = { dataDir: dir, env: {}, report: () => undefined };
  const first = await ensureServices(options);
  await query(first.databaseUrl, "create table kept as select 1");
  await first.stop();
  const pidFile = join(dir, "postgres/data/postmaster.pid");
  const port = new URL(first.databaseUrl).port;
  writeFileSync(pidFile, `${process.pid}\n${join(dir, "postgres/data")}\n0\n${port}\n\n127.0.0.1\n`);
  writeFileSync(join(dir, "redis/redis.pid"), `${process.pid}\n`);
  const second = await ensureServices(options);
  expect(await query(second.databaseUrl, "select * from kept")).toHaveLength(1);
  await second.stop();
});

test("concurrent calls start one pair of servers, which only the caller that started it stops", async () => {
  const options = { dataDir: dir, env: {}, report: () => undefined };
  const all = await Promise.all([ensureServices(options), ensureServices(options), ensureServices(options)]);
  expect(new Set(all.map(({ databaseUrl, redisUrl }) => `${databaseUrl} ${redisUrl}`)).size).toBe(1);
  await all[1].stop();
  await all[2].stop();
  expect(await query(all[0].databaseUrl, "select 1")).toHaveLength(1);
  await all[0].stop();
  await expect(query(all[0].databaseUrl, "select 1")).rejects.toThrow("ECONNREFUSED");
});

test("a missing program is reported in one line that names what to install", async () => {
  const bare = { search: { path: dir, patterns: [] }, canInstall: () => false };
  const say = () => undefined;
  await expect(needPostgres(say, undefined, bare)).rejects.toThrow(
    /^PostgreSQL 15 or newer was not found: install it.*DATABASE_URL$/,
  );
  await expect(needRedis(say, bare)).rejects.toThrow(
    /^Redis 7 or newer was not found: install it.*redis-server.*REDIS_URL$/,
  );
});

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}
