import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { needPostgres, needRedis } from "./install.ts";
import { leash, type Leashed } from "./leash.ts";
import { freePort } from "./ports.ts";
import { dataOf, initialise, postgresUrl, startPostgres, stopPostgres } from "./postgres-server.ts";
import { isAlive, signal, waitForExit } from "./processes.ts";
import { redisUrl, startRedis, stopRedis } from "./redis-server.ts";
import { sayOnStderr } from "./say.ts";
import { throwawayFolder } from "./server-folder.ts";

/**
 * A server for tests and benchmarks, gone with all its data when it is stopped or when this process ends, however it
 * ends.
 */
export interface Throwaway {
  readonly url: string;
  readonly pid: number;
  /** Holds its data and its log. */
  readonly folder: string;
  /** Sends a signal, and waits for the end where it is one that ends the server. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port and data, stopping it first where it still runs. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

interface PostgresOptions {
  port?: number;
  /** Over the throwaway settings. */
  settings?: Record<string, string>;
  /** Settings without which the server is started if it refuses them, such as a library that is not installed. */
  optional?: Record<string, string>;
}

const THROWAWAY_SETTINGS = {
  fsync: "off",
  full_page_writes: "off",
  shared_buffers: "128MB",
  // Several test files at a time, each with several processes and their pools.
  max_connections: "500",
};

/**
 * A PostgreSQL on 127.0.0.1, in a new folder below `dir`. Unless `settings` say otherwise it does not wait for the
 * disk.
 *
 * @returns with the URL of its database `postgres`, whose user is the superuser
 */
export async function startThrowawayPostgres(dir: string, options: PostgresOptions = {}): Promise<Throwaway> {
  const binaries = await needPostgres(sayOnStderr);
  const password = randomBytes(16).toString("hex");
  const server = { ...(await throwawayFolder(dir, "postgres-")), password };
  const port = options.port ?? (await freePort());
  const settings = { ...THROWAWAY_SETTINGS, ...options.settings };
  const start = (optional: Record<string, string>) =>
    startPostgres(binaries, server, port, { ...settings, ...optional });
  return throwaway({
    url: postgresUrl(port, password, "postgres"),
    folder: server.folder,
    leashed: {
      pidFile: join(dataOf(server.folder), "postmaster.pid"),
      signals: [
        ["QUIT", 50],
        ["KILL", 10],
      ],
    },
    prepare: () => initialise(binaries, server, true),
    start: () => {
      const { optional } = options;
      return optional === undefined ? start({}) : start(optional).catch(() => start({}));
    },
    stop: stopPostgres,
  });
}

interface RedisOptions {
  port?: number;
  /** Of its command line, such as `--appendonly yes` for a log on disk. */
  args?: readonly string[];
}

/** A Redis with 256 databases on 127.0.0.1, in a new folder below `dir`; without `args` it keeps nothing on disk. */
export async function startThrowawayRedis(dir: string, options: RedisOptions = {}): Promise<Throwaway> {
  const program = await needRedis(sayOnStderr);
  const password = randomBytes(16).toString("hex");
  const server = { ...(await throwawayFolder(dir, "redis-")), password };
  const port = options.port ?? (await freePort());
  return throwaway({
    url: redisUrl(port, password),
    folder: server.folder,
    leashed: { pidFile: join(server.folder, "redis.pid"), signals: [["KILL", 10]] },
    prepare: async () => undefined,
    start: () => startRedis(program, server, port, { databases: "256" }, options.args),
    stop: stopRedis,
  });
}

interface Parts {
  url: string;
  folder: string;
  leashed: Leashed;
  prepare: () => Promise<void>;
  start: () => Promise<number>;
  stop: (pid: number) => Promise<void>;
}

/** Signals after which a server goes on. */
const HARMLESS: readonly string[] = ["SIGSTOP", "SIGCONT", "SIGHUP", "SIGUSR1", "SIGUSR2"];

async function throwaway({ url, folder, leashed, prepare, start, stop }: Parts): Promise<Throwaway> {
  const letGo = leash([leashed], folder);
  const remove = () => {
    rmSync(folder, { recursive: true, force: true });
    letGo();
  };
  let isGone = false;
  const halt = async () => {
    // After the end of the server its pid may belong to another process.
    if (isGone || !isAlive(pid)) return;
    signal(pid, "SIGCONT"); // a stopped process does not see other signals
    await stop(pid);
  };
  let pid: number;
  try {
    await prepare();
    pid = await start();
  } catch (error) {
    remove();
    throw error;
  }
  return {
    url,
    folder,
    get pid() {
      return pid;
    },
    async kill(name) {
      signal(pid, name);
      if (HARMLESS.includes(name)) return;
      isGone = await waitForExit(pid, 30_000);
      if (!isGone) throw new Error(`process ${pid} survived ${name}`);
    },
    async restart() {
      await halt();
      pid = await start();
      isGone = false;
    },
    async stop() {
      await halt();
      remove();
    },
  };
}
