import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { DATA_DIR, startThrowawayRedis } from "../../scripts/services/index.ts";
import { needPostgres } from "../../scripts/services/install.ts";
import { leash } from "../../scripts/services/leash.ts";
import { freePort } from "../../scripts/services/ports.ts";
import {
  dataOf,
  initialise,
  postgresUrl,
  startPostgres,
  stopPostgres,
  withClient,
} from "../../scripts/services/postgres-server.ts";
import { sayOnStderr } from "../../scripts/services/say.ts";
import { throwawayFolder } from "../../scripts/services/server-folder.ts";

/** PostgreSQL and Redis of the benchmark's own, as durable as in production; gone with their data in the end. */
export interface Servers {
  redisUrl: string;
  postgresPid: number;
  redisPid: number;
  /** Makes an empty database. */
  createDatabase(name: string): Promise<string>;
  versions: { postgres: string; redis: string };
  stop(): Promise<void>;
}

const DURABLE = {
  fsync: "on",
  synchronous_commit: "on",
  full_page_writes: "on",
  shared_buffers: "256MB",
  // Checkpoints come by the clock and before each measurement, not because one contender writes more than another.
  max_wal_size: "4GB",
  max_connections: "200",
};
const STATEMENTS = { shared_preload_libraries: "pg_stat_statements", "pg_stat_statements.max": "1000" };

const dir = join(DATA_DIR, "bench");

export async function startServers(): Promise<Servers> {
  const postgres = await startDurablePostgres();
  try {
    const redis = await startThrowawayRedis(dir, { args: ["--appendonly", "yes", "--appendfsync", "everysec"] });
    return {
      redisUrl: redis.url,
      postgresPid: postgres.pid,
      redisPid: redis.pid,
      createDatabase: (name) => createDatabase(postgres.urlOf, name),
      versions: { postgres: await postgresVersion(postgres.urlOf("postgres")), redis: await redisVersion(redis.url) },
      async stop() {
        await redis.stop();
        await postgres.stop();
      },
    };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

/** startThrowawayPostgres() does not wait for the disk, and that is what accepting an event costs. */
async function startDurablePostgres() {
  const binaries = await needPostgres(sayOnStderr);
  const password = randomBytes(16).toString("hex");
  const server = { ...(await throwawayFolder(dir, "postgres-")), password };
  const { folder } = server;
  const pidFile = join(dataOf(folder), "postmaster.pid");
  const letGo = leash([{ pidFile, signals: [["QUIT", 50], ["KILL", 10]] }], folder); // prettier-ignore
  const remove = () => {
    rmSync(folder, { recursive: true, force: true });
    letGo();
  };
  try {
    await initialise(binaries, server, true);
    const port = await freePort();
    const start = (settings: Record<string, string>) => startPostgres(binaries, server, port, settings);
    // Where pg_stat_statements is not installed the server refuses to start, and statements go uncounted.
    const pid = await start({ ...DURABLE, ...STATEMENTS }).catch(() => start(DURABLE));
    const stop = async () => {
      await stopPostgres(pid);
      remove();
    };
    return { pid, urlOf: (database: string) => postgresUrl(port, password, database), stop };
  } catch (error) {
    remove();
    throw error;
  }
}

async function createDatabase(urlOf: (database: string) => string, name: string): Promise<string> {
  await withClient(urlOf("postgres"), (client) =>
    client.query(`create database ${client.escapeIdentifier(name)} template template0`),
  );
  return urlOf(name);
}

async function postgresVersion(url: string): Promise<string> {
  const { rows } = await withClient(url, (client) => client.query<{ server_version: string }>("show server_version"));
  return rows[0]!.server_version;
}

async function redisVersion(url: string): Promise<string> {
  const redis = new Redis(url);
  const info = await redis.info("server");
  redis.disconnect();
  return /redis_version:(\S+)/.exec(info)?.[1] ?? "unknown";
}
