import { afterEach } from "vitest";
import { type RedisPair, startRedisPair } from "@postrider/testkit/servers/redis-pair.ts";
import { isFullLongRun } from "@postrider/testkit/long-run.ts";
import { SERVERS_DIR } from "@postrider/testkit/servers/test-servers.ts";
import type { TestDatabase } from "@postrider/testkit/servers/database.ts";
import { createTestDatabase, testWithOwnServers as test } from "@postrider/testkit/vitest.ts";
import { Random } from "../../../chaos/random.ts";
import { type FailoverWorld, startFailoverWorld } from "./failover-world.ts";
import { redisFailovers } from "./failovers.ts";

const SEEDS = isFullLongRun ? [1, 2, 3] : [1];
/** Of each kind, in one run. */
const ROUNDS = 2;

let pair: RedisPair | undefined;
let database: TestDatabase | undefined;
let world: FailoverWorld | undefined;

afterEach(async ({ task }) => {
  if (task.result?.state === "fail") console.error(world?.output());
  await world?.stop();
  await pair?.stop();
  await database?.drop();
  world = pair = database = undefined;
});

test.for(SEEDS)("nothing is lost in a series of failovers of Redis, seed %i", async (seed) => {
  const random = new Random(seed);
  [pair, database] = await Promise.all([startRedisPair(SERVERS_DIR), createTestDatabase()]);
  world = await startFailoverWorld(database.url, pair.url);
  const kinds = Object.entries(redisFailovers);
  const series = Array.from({ length: ROUNDS }, () => random.shuffled(kinds)).flat();
  for (const [kind, failOver] of series) await world.underLoad(`Redis, ${kind}`, () => failOver(pair!));
});
