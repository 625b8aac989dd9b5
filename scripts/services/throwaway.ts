import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { needPostgres, needRedis } from "./install.ts";
import { stopWithParent, type StoppableServer } from "./stop-with-parent.ts";
import { freePort } from "./ports.ts";
import { copyServer, dataOf, initialise, postgresUrl, startPostgres, stopPostgres } from "./postgres-server.ts";
import { isAlive, signal, waitForExit } from "./processes.ts";
import { redisUrl, startRedis, stopRedis } from "./redis-server.ts";
import { reportOnStderr } from "./report.ts";
import { throwawayFolder } from "./server-folder.ts";

/**
 * A server for tests and benchmarks. It is removed with its data when it is stopped or this process ends, even by kill
 * -9.
 */
export interface Throwaway {
  readonly url: string;
  readonly pid: number;
  /** Contains its data and its log. */
  readonly folder: string;
  /** Sends a signal, and waits for the exit if the signal ends the server. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port and data. A running server is stopped first. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

interface PostgresOptions {
  port?: number;
  /** Override the throwaway settings. */
  settings?: Record<string, string>;
  /** Dropped if the server does not start with them, such as a library that is not installed. */
  optional?: Record<string, string>;
  password?: string;
  /** Start as a streaming replica of the server with this URL. */
  copyOf?: string;
}

const THROWAWAY_SETTINGS = {
  fsync: "off",
  full_page_writes: "off",
  shared_buffers: "128MB",
  // For concurrent test files, each with several processes and their pools.
  max_connections: "500",
};

/**
 * Starts a PostgreSQL on 127.0.0.1, in a new folder below `dir`. By default it does not wait for the disk.
 *
 * @returns with the URL of its database `postgres` for the superuser
 */
export async function startThrowawayPostgres(dir: string, options: PostgresOptions = {}): Promise<Throwaway> {
  const binaries = await needPostgres(reportOnStderr);
  const { copyOf } = options;
  const password = options.password ?? (copyOf ? new URL(copyOf).password : randomBytes(16).toString("hex"));
  const server = { ...(await throwawayFolder(dir, "postrider-postgres-")), password };
  const port = options.port ?? (await freePort());
  const settings = { ...THROWAWAY_SETTINGS, ...options.settings };
  const start = (optional: Record<string, string>) =>
    startPostgres(binaries, server, port, { ...settings, ...optional });
  return throwaway({
    url: postgresUrl(port, password, "postgres"),
    folder: server.folder,
    stoppable: {
      pidFile: join(dataOf(server.folder), "postmaster.pid"),
      signals: [
        ["QUIT", 50],
        ["KILL", 10],
      ],
    },
    prepare: () => (copyOf === undefined ? initialise(binaries, server, true) : copyServer(binaries, server, copyOf)),
    start: () => {
      const { optional } = options;
      return optional === undefined ? start({}) : start(optional).catch(() => start({}));
    },
    stop: stopPostgres,
  });
}

interface RedisOptions {
  port?: number;
  password?: string;
  /** Command-line arguments, such as `--appendonly yes` for a log on disk. */
  args?: readonly string[];
}

/**
 * Starts a Redis with 256 databases on 127.0.0.1, in a new folder below `dir`. By default it does not write to disk.
 */
export async function startThrowawayRedis(dir: string, options: RedisOptions = {}): Promise<Throwaway> {
  const program = await needRedis(reportOnStderr);
  const password = options.password ?? randomBytes(16).toString("hex");
  const server = { ...(await throwawayFolder(dir, "postrider-redis-")), password };
  const port = options.port ?? (await freePort());
  return throwaway({
    url: redisUrl(port, password),
    folder: server.folder,
    stoppable: { pidFile: join(server.folder, "redis.pid"), signals: [["KILL", 10]] },
    prepare: async () => undefined,
    start: () => startRedis(program, server, port, { databases: "256" }, options.args),
    stop: stopRedis,
  });
}

interface Parts {
  url: string;
  folder: string;
  stoppable: StoppableServer;
  prepare: () => Promise<void>;
  start: () => Promise<number>;
  stop: (pid: number) => Promise<void>;
}

/** Signals that do not end a server. */
const NON_FATAL: readonly string[] = ["SIGSTOP", "SIGCONT", "SIGHUP", "SIGUSR1", "SIGUSR2"];

async function throwaway({ url, folder, stoppable, prepare, start, stop }: Parts): Promise<Throwaway> {
  const cancelStop = stopWithParent([stoppable], folder);
  const remove = () => {
    rmSync(folder, { recursive: true, force: true });
    cancelStop();
  };
  let hasExited = false;
  const halt = async () => {
    // After the server's exit its pid may belong to another process.
    if (hasExited || !isAlive(pid)) return;
    // A stopped process does not handle other signals.
    signal(pid, "SIGCONT");
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
      if (NON_FATAL.includes(name)) return;
      hasExited = await waitForExit(pid, 30_000);
      if (!hasExited) throw new Error(`process ${pid} survived ${name}`);
    },
    async restart() {
      await halt();
      pid = await start();
      hasExited = false;
    },
    async stop() {
      await halt();
      remove();
    },
  };
}
