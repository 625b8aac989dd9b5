import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { migrate } from "@postrider/shared/store/migrate.ts";
import {
  hasDocker,
  hasServers,
  readEnvironment,
  startContainer,
  startThrowawayPostgres,
  startThrowawayRedis,
  withClient,
} from "../../../../scripts/services/index.ts";
import { mustRun } from "../must-run.ts";
import { waitFor } from "../wait.ts";
import { dropTemplate, TEMPLATE } from "./database.ts";
import { withRedis } from "./redis.ts";

/** Where throwaway servers of tests keep their data, each in a folder of its own that nobody else has. */
export const SERVERS_DIR = tmpdir();

/** One PostgreSQL with a migrated template database, and one Redis: every test takes a database of each. */
export interface TestServers {
  postgresUrl: string;
  redisUrl: string;
  /** Why tests can start no further servers, to stop or to replace them; "" if they can. */
  noOwnServers: string;
  stop(): Promise<void>;
}

/** A server, and what ends it. */
interface Server {
  url: string;
  stop(): Promise<void>;
}

/**
 * The machine's own programs; without them, unless all tests must run, the servers of DATABASE_URL and REDIS_URL, or
 * containers. They end with this process, even if it is killed; on servers that were given only the test databases are removed.
 */
export async function startTestServers(): Promise<TestServers> {
  // Throwaways are installed where they can be, or refused by name.
  const { postgres, redis } = await (mustRun() || (await hasServers()) ? startThrowaways() : startOthers());
  const stop = async () => void (await Promise.all([postgres.stop(), redis.stop()]));
  try {
    await withClient(postgres.url, async (client) => {
      await dropTemplate(client);
      await client.query(`create database ${TEMPLATE} template template0`);
    });
    const template = new URL(postgres.url);
    template.pathname = TEMPLATE;
    await migrate(template.href);
  } catch (error) {
    await stop();
    throw error;
  }
  // They may just have been installed.
  const noOwnServers = (await hasServers())
    ? ""
    : "PostgreSQL 15 and Redis 7, or newer, are not both installed on this machine";
  return { postgresUrl: postgres.url, redisUrl: redis.url, noOwnServers, stop };
}

const startThrowaways = () => startBoth(startThrowawayPostgres, startThrowawayRedis);

async function startOthers() {
  const { DATABASE_URL, REDIS_URL } = readEnvironment();
  const isDocker = !(DATABASE_URL && REDIS_URL) && (await hasDocker());
  // Without Docker: installs what is missing, or says so.
  const [startPostgres, startRedis] = isDocker
    ? [startPostgresContainer, startRedisContainer]
    : [startThrowawayPostgres, startThrowawayRedis];
  return startBoth(
    DATABASE_URL ? async () => given(DATABASE_URL, (url) => withClient(url, dropTemplate)) : startPostgres,
    REDIS_URL ? async () => given(REDIS_URL) : startRedis,
  );
}

type Start = (dir: string) => Promise<Server>;

async function startBoth(startPostgres: Start, startRedis: Start): Promise<{ postgres: Server; redis: Server }> {
  const postgres = await startPostgres(SERVERS_DIR);
  try {
    return { postgres, redis: await startRedis(SERVERS_DIR) };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

const given = (url: string, tidyUp?: (url: string) => Promise<void>): Server => ({
  url,
  stop: async () => tidyUp?.(url),
});

async function startPostgresContainer(): Promise<Server> {
  const password = randomBytes(16).toString("hex");
  const args = ["postgres", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=500"];
  const env = { POSTGRES_PASSWORD: password, POSTGRES_INITDB_ARGS: "--encoding=UTF8 --locale=C" };
  const container = await startContainer({ image: "postgres:17", port: 5432, env, args });
  const url = `postgres://postgres:${password}@127.0.0.1:${container.port}/postgres`;
  return untilReady({ url, stop: () => container.stop() }, () => withClient(url, async () => true));
}

async function startRedisContainer(): Promise<Server> {
  const args = ["redis-server", "--save", "", "--databases", "256"];
  const container = await startContainer({ image: "redis:7", port: 6379, args });
  const url = `redis://127.0.0.1:${container.port}`;
  return untilReady({ url, stop: () => container.stop() }, () =>
    withRedis(url, async (redis) => (await redis.ping()) === "PONG"),
  );
}

async function untilReady(server: Server, isReady: () => Promise<boolean>): Promise<Server> {
  try {
    await waitFor(`${new URL(server.url).protocol} is ready`, isReady, { every: 200 });
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}
