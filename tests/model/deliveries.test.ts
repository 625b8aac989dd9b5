import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TestDatabase } from "@postrider/testkit/servers/database.ts";
import { propertyRuns } from "@postrider/testkit/long-run.ts";
import { createTestDatabase } from "@postrider/testkit/vitest.ts";
import { createPool, type Pool } from "@postrider/shared/store/pool.ts";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { World } from "./world.ts";

let database: TestDatabase;
let pool: Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool(database.url, "model", 4, createLogger("model", "silent"));
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const pick = fc.nat(50);
const lane = fc.constantFrom("dispatch" as const, "retry" as const);
const ending = fc.constantFrom("delivered", "retrying", "held", "paused", "dead" as const);
const mostly = fc.integer({ min: 0, max: 4 }).map((chance) => chance > 0);

/** Everything that can happen to deliveries, in words that a counterexample can be read in. */
const happening = fc.oneof(
  { weight: 3, arbitrary: fc.record({ what: fc.constant("accept" as const), count: fc.integer({ min: 1, max: 3 }), dispatched: mostly }) }, // prettier-ignore
  { weight: 6, arbitrary: fc.record({ what: fc.constant("take" as const), lane, pick }) },
  { weight: 8, arbitrary: fc.record({ what: fc.constant("record" as const), pick, ending, scheduled: mostly }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("crash" as const), pick }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("retry by hand" as const), pick }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("flush" as const) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("split poison" as const), pick }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("release" as const) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("watchdog" as const) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("time passes" as const) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("redis" as const), away: fc.boolean() }) },
);
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

async function happen(world: World, it: Happening): Promise<void> {
  switch (it.what) {
    case "accept":
      return world.accept(it.count, it.dispatched);
    case "take":
      return world.take(it.lane, it.pick);
    case "record":
      return world.record(it.pick, it.ending, it.scheduled);
    case "crash":
      return world.crash(it.pick);
    case "retry by hand":
      return world.retryByHand(it.pick);
    case "flush":
      return world.flush();
    case "split poison":
      return world.splitPoison(it.pick);
    case "release":
      return world.release();
    case "watchdog":
      return world.watchdog();
    case "time passes":
      return world.timePasses();
    case "redis":
      return world.setRedisAway(it.away);
  }
}

/** Of every sequence: what is delivered stays so unless a person asks again, and no delivery ever vanishes. */
async function play(world: World, sequence: readonly Happening[]): Promise<void> {
  await world.accept(2, true);
  for (const it of sequence) {
    const before = await world.rows();
    await happen(world, it);
    const after = new Map((await world.rows()).map((row) => [row.id, row]));
    expect(after.size).toBe(world.accepted);
    for (const { id, state } of before)
      if (state === "delivered" && it.what !== "retry by hand") expect(after.get(id)!.state).toBe("delivered");
  }
}

const sequences = fc.array(happening, { minLength: 1, maxLength: 25 });

test("no sequence of faults loses a delivery: after one watchdog run every unfinished one has a job, and all arrive", async () => {
  await fc.assert(
    fc.asyncProperty(sequences, async (sequence) => {
      const world = await World.create(pool);
      await play(world, sequence);
      world.setRedisAway(false);
      await world.timePasses();
      await world.watchdog();
      await world.expectAllReachable();
      const late = [...world.inHand];
      await world.drain();
      // Frozen workers wake up last: what they still record may overwrite nothing.
      for (const held of late)
        if (world.inHand.includes(held)) await world.record(world.inHand.indexOf(held), "retrying", false);
      for (const { state } of await world.rows()) expect(["delivered", "dead"]).toContain(state);
    }),
    propertyRuns(60, 0.15),
  );
});
