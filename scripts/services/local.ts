import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { needPostgres, needRedis } from "./install.ts";
import type { StoppableServer } from "./stop-with-parent.ts";
import { recall, remember, type Remembered } from "./memory.ts";
import { freePort, isFree } from "./ports.ts";
import * as postgres from "./postgres-server.ts";
import * as redis from "./redis-server.ts";
import type { Report } from "./report.ts";
import { serverFolder } from "./server-folder.ts";

/** A running service. */
export interface Up {
  url: string;
  /** Undefined if it was already running. */
  started?: { stop: () => Promise<void>; stoppable?: StoppableServer };
}

const DATABASE = "postrider";

/** Durable: data survives a crash of the server and of the machine. */
const POSTGRES_SETTINGS = { fsync: "on", shared_buffers: "256MB", max_connections: "200" };
const REDIS_SETTINGS = { appendonly: "yes", appendfsync: "everysec" };

/** Reuses or starts the machine's own PostgreSQL with the data in `<dataDir>/postgres`. */
export async function ensureLocalPostgres(dataDir: string, report: Report): Promise<Up> {
  const { server, memory } = await locate(dataDir, "postgres", report);
  const running = await postgres.findRunning(server);
  if (running) {
    await postgres.ensureDatabase(running.port, server.password, DATABASE);
    return { url: postgres.postgresUrl(running.port, server.password, DATABASE) };
  }
  const binaries = await needPostgres(report, postgres.majorOfData(server.folder));
  if (postgres.majorOfData(server.folder) === undefined) {
    report(`creating a PostgreSQL ${binaries.major} database in ${server.folder}`);
    await postgres.initialise(binaries, server);
  }
  const { port, pid } = await startOnPort(dataDir, "postgres", memory, report, (chosen) =>
    postgres.startPostgres(binaries, server, chosen, POSTGRES_SETTINGS),
  );
  await postgres.ensureDatabase(port, server.password, DATABASE);
  const pidFile = join(postgres.dataOf(server.folder), "postmaster.pid");
  return {
    url: postgres.postgresUrl(port, server.password, DATABASE),
    started: {
      stop: () => postgres.stopPostgres(pid),
      // TERM waits for open connections: the apps have lost their supervisor too and are stopping.
      stoppable: {
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

/** Reuses or starts the machine's own Redis with the data in `<dataDir>/redis`. */
export async function ensureLocalRedis(dataDir: string, report: Report): Promise<Up> {
  const { server, memory } = await locate(dataDir, "redis", report);
  const running = await redis.findRunning(server);
  if (running) return { url: redis.redisUrl(running.port, server.password) };
  const program = await needRedis(report);
  const { port, pid } = await startOnPort(dataDir, "redis", memory, report, (chosen) =>
    redis.startRedis(program, server, chosen, REDIS_SETTINGS),
  );
  return {
    url: redis.redisUrl(port, server.password),
    started: {
      stop: () => redis.stopRedis(pid),
      stoppable: {
        pidFile: join(server.folder, "redis.pid"),
        signals: [
          ["TERM", 100],
          ["KILL", 10],
        ],
      },
    },
  };
}

/** Finds the running servers of this checkout. */
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

/** Returns the server's folder and its account, which are stored at the first start. */
async function locate(dataDir: string, name: "postgres" | "redis", report: Report) {
  const memory: Remembered = recall(dataDir, name) ?? { password: randomBytes(16).toString("hex") };
  const defaultFolder = join(dataDir, name);
  const { folder, account } = await serverFolder(memory.elsewhere ?? defaultFolder);
  if (folder !== defaultFolder && folder !== memory.elsewhere) {
    report(`the account of ${name} can't access ${dataDir}: its data is in ${folder}`);
    memory.elsewhere = folder;
  }
  remember(dataDir, name, memory);
  return { server: { folder, account, password: memory.password }, memory };
}

/** Starts a server on its previous port, or on another one if that is taken. */
async function startOnPort(
  dataDir: string,
  name: "postgres" | "redis",
  memory: Remembered,
  report: Report,
  start: (port: number) => Promise<number>,
): Promise<{ port: number; pid: number }> {
  for (let attempt = 1; ; attempt += 1) {
    const isKept = memory.port !== undefined && (await isFree(memory.port));
    const port = isKept ? memory.port! : await freePort();
    if (memory.port !== undefined && !isKept) report(`port ${memory.port} is taken: ${name} moves to ${port}`);
    memory.port = port;
    remember(dataDir, name, memory);
    try {
      return { port, pid: await start(port) };
    } catch (error) {
      // Another process may have taken the port since isFree().
      if (attempt === 3 || (await isFree(port))) throw error;
    }
  }
}
