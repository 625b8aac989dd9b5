import { setTimeout as pause } from "node:timers/promises";
import { afterEach } from "vitest";
import { migrate } from "@postrider/shared/store/migrate.ts";
import { type PostgresPair, startPostgresPair } from "@postrider/testkit/servers/postgres-pair.ts";
import type { TestRedis } from "@postrider/testkit/servers/redis.ts";
import { isFullLongRun } from "@postrider/testkit/long-run.ts";
import { SERVERS_DIR } from "@postrider/testkit/servers/test-servers.ts";
import { claimTestRedis, testWithOwnServers as test } from "@postrider/testkit/vitest.ts";
import { Random } from "../../../chaos/random.ts";
import { type FailoverWorld, startFailoverWorld } from "./failover-world.ts";
import { postgresFailovers } from "./failovers.ts";

const SEEDS = isFullLongRun ? [1, 2, 3] : [1];
/** The failover begins at any time of the checks that notice it. */
const MAX_LOAD_BEFORE_MS = 5_000;

let pair: PostgresPair | undefined;
let redis: TestRedis | undefined;
let world: FailoverWorld | undefined;

afterEach(async ({ task }) => {
  if (task.result?.state === "fail") console.error(world?.output());
  await world?.stop();
  await pair?.stop();
  await redis?.release();
  world = pair = redis = undefined;
});

// A replica can be promoted once, so each failover has servers of its own.
const cases = SEEDS.flatMap((seed) =>
  Object.entries(postgresFailovers).map(([kind, failOver], number) => ({ seed, kind, failOver, number })),
);

test.for(cases)(
  "nothing is lost in a failover of Postgres, $kind, seed $seed",
  async ({ seed, kind, failOver, number }) => {
    const random = new Random(seed * cases.length + number);
    [pair, redis] = await Promise.all([startPostgresPair(SERVERS_DIR, migrate), claimTestRedis()]);
    world = await startFailoverWorld(pair.url, redis.url);
    await world.underLoad(`Postgres, ${kind}`, async () => {
      await pause(random.integer(0, MAX_LOAD_BEFORE_MS));
      await failOver(pair!);
    });
  },
);
