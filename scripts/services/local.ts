import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { needPostgres, needRedis } from "./install.ts";
import type { Leashed } from "./leash.ts";
import { recall, remember, type Remembered } from "./memory.ts";
import { freePort, isFree } from "./ports.ts";
import * as postgres from "./postgres-server.ts";
import * as redis from "./redis-server.ts";
import type { Say } from "./say.ts";
import { serverFolder } from "./server-folder.ts";

/** One of the two services, up. */
export interface Up {
  url: string;
  /** Undefined where it ran before. */
  started?: { stop: () => Promise<void>; leashed?: Leashed };
}

const DATABASE = "postrider";

/** Durable: data survives a restart of the server and of the machine. */
const POSTGRES_SETTINGS = { fsync: "on", shared_buffers: "256MB", max_connections: "200" };
const REDIS_SETTINGS = { appendonly: "yes", appendfsync: "everysec" };

/** The machine's own PostgreSQL on the data in `<dataDir>/postgres`: the one that runs, else a new process. */
export async function ensureLocalPostgres(dataDir: string, say: Say): Promise<Up> {
  const { server, memory } = await place(dataDir, "postgres", say);
  const running = await postgres.findRunning(server);
  if (running) {
    await postgres.ensureDatabase(running.port, server.password, DATABASE);
    return { url: postgres.postgresUrl(running.port, server.password, DATABASE) };
  }
  const binaries = await needPostgres(say, postgres.majorOfData(server.folder));
  if (postgres.majorOfData(server.folder) === undefined) {
    say(`making a PostgreSQL ${binaries.major} database in ${server.folder}`);
    await postgres.initialise(binaries, server);
  }
  const { port, pid } = await startOnPort(dataDir, "postgres", memory, say, (chosen) =>
    postgres.startPostgres(binaries, server, chosen, POSTGRES_SETTINGS),
  );
  await postgres.ensureDatabase(port, server.password, DATABASE);
  const pidFile = join(postgres.dataOf(server.folder), "postmaster.pid");
  return {
    url: postgres.postgresUrl(port, server.password, DATABASE),
    started: {
      stop: () => postgres.stopPostgres(pid),
      // TERM lets those who are connected finish: our own processes, which have lost their supervisor and are stopping
      // too.
      leashed: {
        pidFile,
        signals: [
          ["TERM", 300],
          ["INT", 100],
          ["QUIT", 50],
        ],
      },
    },
  };
}

/** The machine's own Redis on the data in `<dataDir>/redis`: the one that runs, else a new process. */
export async function ensureLocalRedis(dataDir: string, say: Say): Promise<Up> {
  const { server, memory } = await place(dataDir, "redis", say);
  const running = await redis.findRunning(server);
  if (running) return { url: redis.redisUrl(running.port, server.password) };
  const program = await needRedis(say);
  const { port, pid } = await startOnPort(dataDir, "redis", memory, say, (chosen) =>
    redis.startRedis(program, server, chosen, REDIS_SETTINGS),
  );
  return {
    url: redis.redisUrl(port, server.password),
    started: {
      stop: () => redis.stopRedis(pid),
      leashed: {
        pidFile: join(server.folder, "redis.pid"),
        signals: [
          ["TERM", 100],
          ["KILL", 10],
        ],
      },
    },
  };
}

/** What runs of ours on this machine: to be stopped, or told about. */
export async function findLocal(
  dataDir: string,
): Promise<{ name: "postgres" | "redis"; url: string; stop: () => Promise<void> }[]> {
  const found = [];
  for (const name of ["postgres", "redis"] as const) {
    const memory = recall(dataDir, name);
    const folder = memory?.elsewhere ?? join(dataDir, name);
    if (!memory || !existsSync(folder)) continue;
    const server = { folder, password: memory.password, account: undefined };
    if (name === "postgres") {
      const running = await postgres.findRunning(server);
      const url = postgres.postgresUrl(running?.port ?? 0, server.password, DATABASE);
      if (running) found.push({ name, url, stop: () => postgres.stopPostgres(running.pid) });
    } else {
      const running = await redis.findRunning(server);
      const url = redis.redisUrl(running?.port ?? 0, server.password);
      if (running) found.push({ name, url, stop: () => redis.stopRedis(running.pid) });
    }
  }
  return found;
}

/** Where the server's data is and whom it belongs to; remembered from its first start on. */
async function place(dataDir: string, name: "postgres" | "redis", say: Say) {
  const memory: Remembered = recall(dataDir, name) ?? { password: randomBytes(16).toString("hex") };
  const usual = join(dataDir, name);
  const { folder, account } = await serverFolder(memory.elsewhere ?? usual);
  if (folder !== usual && folder !== memory.elsewhere) {
    say(`the account that ${name} runs as cannot reach ${dataDir}: its data is in ${folder}`);
    memory.elsewhere = folder;
  }
  remember(dataDir, name, memory);
  return { server: { folder, account, password: memory.password }, memory };
}

/** Starts on the port of last time, or on another where a stranger has taken it. */
async function startOnPort(
  dataDir: string,
  name: "postgres" | "redis",
  memory: Remembered,
  say: Say,
  start: (port: number) => Promise<number>,
): Promise<{ port: number; pid: number }> {
  for (let attempt = 1; ; attempt += 1) {
    const isKept = memory.port !== undefined && (await isFree(memory.port));
    const port = isKept ? memory.port! : await freePort();
    if (memory.port !== undefined && !isKept) say(`port ${memory.port} is taken: ${name} moves to ${port}`);
    memory.port = port;
    remember(dataDir, name, memory);
    try {
      return { port, pid: await start(port) };
    } catch (error) {
      // Somebody may have taken the port since we looked.
      if (attempt === 3 || (await isFree(port))) throw error;
    }
  }
}
