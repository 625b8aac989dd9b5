import { chownSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Redis } from "ioredis";
import type { Account } from "./processes.ts";
import { commandOf, end, isAlive } from "./processes.ts";
import { launch } from "./server-process.ts";

/** A Redis server whose folder contains its data, `redis.conf`, `redis.pid` and `server.log`. */
export interface RedisServer {
  folder: string;
  password: string;
  account: Account | undefined;
}

export const redisUrl = (port: number, password: string): string => `redis://:${password}@127.0.0.1:${port}`;

/** Starts the server on this port, on loopback only. Returns its pid. */
export async function startRedis(
  program: string,
  server: RedisServer,
  port: number,
  settings: Record<string, string>,
  extraArgs: readonly string[] = [],
): Promise<number> {
  const { folder, account } = server;
  // The password is in a file, because every account can read command lines.
  const configFile = join(folder, "redis.conf");
  const all = {
    bind: "127.0.0.1",
    port: String(port),
    dir: folder,
    pidfile: join(folder, "redis.pid"),
    requirepass: server.password,
    save: '""',
    "maxmemory-policy": "noeviction",
    // A delayed job is a hash just above the default limit. A listpack takes 649 bytes instead of 1074.
    "hash-max-listpack-value": "1024",
    ...settings,
  };
  writeFileSync(
    configFile,
    Object.entries(all)
      .map(([name, value]) => `${name} ${value}\n`)
      .join(""),
    { mode: 0o600 },
  );
  if (account) chownSync(configFile, account.uid, account.gid);
  const isReady = () => isOurs(port, server);
  const logFile = join(folder, "server.log");
  return launch({ name: "Redis", program, args: [configFile, ...extraArgs], account, folder, logFile, isReady });
}

/** Waits for the running server of this folder; undefined if none is running, even with a pid file. */
export async function findRunning(server: RedisServer): Promise<{ pid: number; port: number } | undefined> {
  const recorded = readPidFile(server.folder);
  if (!recorded || !isAlive(recorded.pid)) return undefined;
  // Redis rewrites its command line: "redis-server 127.0.0.1:6379".
  const command = await commandOf(recorded.pid);
  if (!command.includes("redis-server") || !command.includes(`:${recorded.port}`)) return undefined;
  const deadline = Date.now() + 60_000;
  while (isAlive(recorded.pid)) {
    const answer = await isOurs(recorded.port, server).catch(() => undefined);
    if (answer !== undefined) return answer ? recorded : undefined;
    if (Date.now() > deadline)
      throw new Error(`Redis (pid ${recorded.pid}) runs in ${server.folder} and does not respond`);
    await pause(50);
  }
  return undefined;
}

export async function stopRedis(pid: number): Promise<void> {
  await end(pid, ["SIGTERM", 10_000], ["SIGKILL", 5_000]);
}

/** Whether the server on this port is the one of this folder. Throws while it is unreachable or loads its data. */
async function isOurs(port: number, { folder, password }: RedisServer): Promise<boolean> {
  const redis = new Redis({
    host: "127.0.0.1",
    port,
    password,
    lazyConnect: true,
    connectTimeout: 2_000,
    commandTimeout: 2_000,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    enableReadyCheck: false,
  });
  redis.on("error", () => undefined);
  try {
    await redis.connect();
    await redis.ping();
    const [, dir] = await redis.config("GET", "dir");
    return dir === folder;
  } catch (error) {
    if (/WRONGPASS|NOAUTH/.test(String(error))) return false;
    throw error;
  } finally {
    redis.disconnect();
  }
}

function readPidFile(folder: string): { pid: number; port: number } | undefined {
  const [pidFile, configFile] = [join(folder, "redis.pid"), join(folder, "redis.conf")];
  if (!existsSync(pidFile) || !existsSync(configFile)) return undefined;
  const port = Number(/^port (\d+)$/m.exec(readFileSync(configFile, "utf8"))?.[1]);
  return { pid: Number(readFileSync(pidFile, "utf8").trim()), port };
}
