import { afterAll, beforeAll, beforeEach } from "vitest";
import { type RedisPair, startRedisPair } from "@postrider/testkit/servers/redis-pair.ts";
import { SERVERS_DIR } from "@postrider/testkit/servers/test-servers.ts";
import type { TestDatabase } from "@postrider/testkit/servers/database.ts";
import { createTestDatabase, testWithOwnServers as test } from "@postrider/testkit/vitest.ts";
import { type FailoverWorld, startFailoverWorld } from "./failover-world.ts";
import { redisFailovers } from "./failovers.ts";

let pair: RedisPair;
let database: TestDatabase;
let world: FailoverWorld;

beforeAll(async () => {
  [pair, database] = await Promise.all([startRedisPair(SERVERS_DIR), createTestDatabase()]);
  world = await startFailoverWorld(database.url, pair.url);
});
beforeEach(({ onTestFailed }) => {
  onTestFailed(() => console.error(world.output()));
});
afterAll(async () => {
  await world?.stop();
  await pair?.stop();
  await database?.drop();
});

test("deliveries go on after a failover of Redis whose old primary stays up as a replica", async () => {
  await world.underLoad("Redis, the old primary becomes a replica", () => redisFailovers.demoted(pair));
});

test("deliveries go on after a failover of Redis whose old primary no longer answers, and closes nothing", async () => {
  await world.underLoad("Redis, the old primary is silent", () => redisFailovers.silent(pair));
});
