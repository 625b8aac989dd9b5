import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { migrate } from "../../packages/shared/src/store/migrate.ts";
import { startThrowawayPostgres, startThrowawayRedis, type Throwaway } from "../../scripts/services/index.ts";
import { TEMPLATE, withAdmin } from "./database.ts";

declare module "vitest" {
  // oxlint-disable-next-line typescript/consistent-type-definitions -- an interface is what can be added to
  export interface ProvidedContext {
    postgresUrl: string;
    redisUrl: string;
  }
}

interface TestServers {
  postgres: Throwaway;
  redis: Throwaway;
}

/** Each vitest project loads this file anew, in one process: the servers are shared by way of the global object. */
interface Shared {
  users: number;
  servers: Promise<TestServers>;
}
const KEY = Symbol.for("postrider.test-servers");
const holder = globalThis as unknown as Record<symbol, Shared | undefined>;

/** Servers for the run, with a migrated database to clone. They die with this process if it is killed. */
export async function setup(project: TestProject): Promise<void> {
  const shared = (holder[KEY] ??= { users: 0, servers: start() });
  shared.users += 1;
  const { postgres, redis } = await shared.servers;
  project.provide("postgresUrl", postgres.url);
  project.provide("redisUrl", redis.url);
}

export async function teardown(): Promise<void> {
  const shared = holder[KEY];
  if (!shared) return;
  shared.users -= 1;
  if (shared.users > 0) return;
  holder[KEY] = undefined;
  const { postgres, redis } = await shared.servers;
  await Promise.all([postgres.stop(), redis.stop()]);
}

async function start(): Promise<TestServers> {
  const dir = join(tmpdir(), "postrider-tests");
  const [postgres, redis] = await Promise.all([startThrowawayPostgres(dir), startThrowawayRedis(dir)]);
  await withAdmin(postgres.url, (admin) => admin.query(`create database ${TEMPLATE} template template0`));
  const template = new URL(postgres.url);
  template.pathname = TEMPLATE;
  await migrate(template.href);
  return { postgres, redis };
}
