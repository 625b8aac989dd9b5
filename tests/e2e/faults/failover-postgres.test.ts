import { afterEach } from "vitest";
import { migrate } from "@postrider/shared/store/migrate.ts";
import { type PostgresPair, startPostgresPair } from "@postrider/testkit/servers/postgres-pair.ts";
import type { TestRedis } from "@postrider/testkit/servers/redis.ts";
import { SERVERS_DIR } from "@postrider/testkit/servers/test-servers.ts";
import { claimTestRedis, testWithOwnServers as test } from "@postrider/testkit/vitest.ts";
import { type FailoverWorld, startFailoverWorld } from "./failover-world.ts";
import { postgresFailovers } from "./failovers.ts";

let pair: PostgresPair;
let redis: TestRedis;
let world: FailoverWorld | undefined;

// A replica can be promoted once.
async function start(): Promise<FailoverWorld> {
  [pair, redis] = await Promise.all([startPostgresPair(SERVERS_DIR, migrate), claimTestRedis()]);
  world = await startFailoverWorld(pair.url, redis.url);
  return world;
}
afterEach(async ({ task }) => {
  if (task.result?.state === "fail") console.error(world?.output());
  await world?.stop();
  world = undefined;
  await pair?.stop();
  await redis?.release();
});

test("nothing is lost in a failover of Postgres whose old primary stays up and is read-only", async () => {
  const started = await start();
  await started.underLoad("Postgres, the old primary is read-only", () => postgresFailovers.readOnly(pair));
});

test("nothing is lost in a failover of Postgres whose old primary no longer answers, and closes nothing", async () => {
  const started = await start();
  await started.underLoad("Postgres, the old primary is silent", () => postgresFailovers.silent(pair));
});
