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

/** A server for tests and benchmarks, gone with all its data when it is stopped or when this process ends, however it ends. */
export interface Throwaway {
  readonly url: string;
  readonly pid: number;
  /** Sends a signal, and waits for the end where it is one that ends the server. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port and data, stopping it first where it still runs. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * A PostgreSQL on 127.0.0.1, in a new folder below `dir`. Real in everything but that it does not wait for the disk.
 *
 * @returns with the URL of its database `postgres`, whose user may do everything
 */
export async function startThrowawayPostgres(dir: string, port?: number): Promise<Throwaway> {
  const binaries = await needPostgres(sayOnStderr);
  const password = randomBytes(16).toString("hex");
  const server = { ...(await throwawayFolder(dir, "postgres-")), password };
  const chosen = port ?? (await freePort());
  const settings = {
    fsync: "off",
    full_page_writes: "off",
    shared_buffers: "128MB",
    // Two test files at a time, each with several processes and their pools.
    max_connections: "300",
  };
  return throwaway({
    url: postgresUrl(chosen, password, "postgres"),
    folder: server.folder,
    leashed: {
      pidFile: join(dataOf(server.folder), "postmaster.pid"),
      signals: [
        ["QUIT", 50],
        ["KILL", 10],
      ],
    },
    prepare: () => initialise(binaries, server, true),
    start: () => startPostgres(binaries, server, chosen, settings),
    stop: stopPostgres,
  });
}

/** A Redis with 256 databases on 127.0.0.1, in a new folder below `dir`; without a log on disk unless `["--appendonly", "yes"]` asks for it. */
export async function startThrowawayRedis(
  dir: string,
  port?: number,
  extraArgs: readonly string[] = [],
): Promise<Throwaway> {
  const program = await needRedis(sayOnStderr);
  const password = randomBytes(16).toString("hex");
  const server = { ...(await throwawayFolder(dir, "redis-")), password };
  const chosen = port ?? (await freePort());
  return throwaway({
    url: redisUrl(chosen, password),
    folder: server.folder,
    leashed: { pidFile: join(server.folder, "redis.pid"), signals: [["KILL", 10]] },
    prepare: async () => undefined,
    start: () => startRedis(program, server, chosen, { databases: "256" }, extraArgs),
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
    // A pid that we saw end may be another process's by now.
    if (isGone || !isAlive(pid)) return;
    signal(pid, "SIGCONT"); // a stopped one would not hear anything else
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
