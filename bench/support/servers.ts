import { join } from "node:path";
import { withRedis } from "@postrider/testkit/servers/redis.ts";
import { startDurablePostgres, startDurableRedis } from "@postrider/testkit/servers/durable.ts";
import { DATA_DIR, withClient } from "../../scripts/services/index.ts";

/** PostgreSQL and Redis of the benchmark's own, as durable as in production; their data is removed at the end. */
export interface Servers {
  redisUrl: string;
  postgresPid: number;
  redisPid: number;
  /** Makes an empty database. @returns its URL */
  createDatabase(name: string): Promise<string>;
  versions: { postgres: string; redis: string };
  stop(): Promise<void>;
}

const SETTINGS = {
  shared_buffers: "256MB",
  // Checkpoints follow the clock and each preparation, so that they don't hit the contender that writes most.
  max_wal_size: "4GB",
};
/** Where it is not installed, statements are not counted. */
const COUNT_STATEMENTS = { shared_preload_libraries: "pg_stat_statements", "pg_stat_statements.max": "1000" };

const dir = join(DATA_DIR, "bench");

export async function startServers(): Promise<Servers> {
  const postgres = await startDurablePostgres(dir, { settings: SETTINGS, optional: COUNT_STATEMENTS });
  try {
    const redis = await startDurableRedis(dir);
    return {
      redisUrl: redis.url,
      postgresPid: postgres.pid,
      redisPid: redis.pid,
      createDatabase: (name) => createDatabase(postgres.url, name),
      versions: { postgres: await postgresVersion(postgres.url), redis: await redisVersion(redis.url) },
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

async function createDatabase(serverUrl: string, name: string): Promise<string> {
  await withClient(serverUrl, (client) =>
    client.query(`create database ${client.escapeIdentifier(name)} template template0`),
  );
  const url = new URL(serverUrl);
  url.pathname = name;
  return url.href;
}

async function postgresVersion(url: string): Promise<string> {
  const { rows } = await withClient(url, (client) => client.query<{ server_version: string }>("show server_version"));
  return rows[0]!.server_version;
}

async function redisVersion(url: string): Promise<string> {
  const info = await withRedis(url, (redis) => redis.info("server"));
  return /redis_version:(\S+)/.exec(info)?.[1] ?? "unknown";
}
