import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { startThrowawayRedis, type Throwaway } from "../services/index.ts";
import { needPostgres } from "../services/install.ts";
import { leash } from "../services/leash.ts";
import { freePort } from "../services/ports.ts";
import { dataOf, initialise, postgresUrl, startPostgres, stopPostgres } from "../services/postgres-server.ts";
import { isAlive, signal, waitForExit } from "../services/processes.ts";
import { sayOnStderr } from "../services/say.ts";
import { throwawayFolder } from "../services/server-folder.ts";

/** As in production: a commit waits for the disk, and a torn page is mended. */
const DURABLE = {
  fsync: "on",
  synchronous_commit: "on",
  full_page_writes: "on",
  shared_buffers: "128MB",
  max_connections: "200",
};

export type Server = Pick<Throwaway, "url" | "kill" | "restart" | "stop">;

/** A PostgreSQL of this run's own that keeps what it has committed. */
export async function startDurablePostgres(dir: string): Promise<Server> {
  const binaries = await needPostgres(sayOnStderr);
  const password = randomBytes(16).toString("hex");
  const server = { ...(await throwawayFolder(dir, "postgres-")), password };
  const port = await freePort();
  const pidFile = join(dataOf(server.folder), "postmaster.pid");
  const letGo = leash([{ pidFile, signals: [["QUIT", 50], ["KILL", 10]] }], server.folder); // prettier-ignore
  const start = () => startPostgres(binaries, server, port, DURABLE);
  await initialise(binaries, server);
  let pid = await start();
  const halt = async () => {
    if (isAlive(pid)) await stopPostgres(pid);
  };
  return {
    url: postgresUrl(port, password, "postgres"),
    async kill(name) {
      signal(pid, name);
      if (!(await waitForExit(pid, 30_000))) throw new Error(`PostgreSQL survived ${name}`);
    },
    async restart() {
      await halt();
      pid = await start();
    },
    async stop() {
      await halt();
      rmSync(server.folder, { recursive: true, force: true });
      letGo();
    },
  };
}

export interface RedisServer extends Server {
  flush(): Promise<void>;
  /** Removes what it keeps on disk; it must not be running. */
  removeData(): void;
}

/** A Redis of this run's own that writes its log once a second. */
export async function startLoggingRedis(dir: string): Promise<RedisServer> {
  const redis = await startThrowawayRedis(dir, { args: ["--appendonly", "yes", "--appendfsync", "everysec"] });
  const [, folder] = (await withRedis(redis.url, (client) => client.config("GET", "dir"))) as [string, string];
  return {
    url: redis.url,
    kill: (name) => redis.kill(name),
    restart: () => redis.restart(),
    stop: () => redis.stop(),
    async flush() {
      await withRedis(redis.url, (client) => client.flushall());
    },
    removeData() {
      rmSync(join(folder, "appendonlydir"), { recursive: true, force: true });
      rmSync(join(folder, "dump.rdb"), { force: true });
    },
  };
}

async function withRedis<T>(url: string, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url);
  client.on("error", () => undefined);
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}
