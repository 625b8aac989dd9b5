import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrate } from "@postrider/shared/store/migrate.ts";
import { startThrowawayPostgres, startThrowawayRedis, withClient } from "../../../../scripts/services/index.ts";
import { TEMPLATE } from "./database.ts";

/** Where throwaway servers of tests keep their data. */
export const SERVERS_DIR = join(tmpdir(), "postrider-tests");

/** One PostgreSQL with a migrated template database, and one Redis: every test takes a database of each. */
export interface TestServers {
  postgresUrl: string;
  redisUrl: string;
  stop(): Promise<void>;
}

/** They end with this process, even if it is killed. */
export async function startTestServers(): Promise<TestServers> {
  const [postgres, redis] = await Promise.all([startThrowawayPostgres(SERVERS_DIR), startThrowawayRedis(SERVERS_DIR)]);
  await withClient(postgres.url, (client) => client.query(`create database ${TEMPLATE} template template0`));
  const template = new URL(postgres.url);
  template.pathname = TEMPLATE;
  await migrate(template.href);
  return {
    postgresUrl: postgres.url,
    redisUrl: redis.url,
    async stop() {
      await Promise.all([postgres.stop(), redis.stop()]);
    },
  };
}
