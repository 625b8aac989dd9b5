import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TestDatabase } from "@postrider/testkit/servers/database.ts";
import { repeatInLongRun } from "@postrider/testkit/long-run.ts";
import { createTestDatabase } from "@postrider/testkit/vitest.ts";
import { createPool, type Pool } from "@postrider/shared/store/pool.ts";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { World } from "./world.ts";

let database: TestDatabase;
let pool: Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool(database.url, "postrider-model", 4, createLogger("model", "silent"));
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const pick = fc.nat(50);
const lane = fc.constantFrom("dispatch" as const, "retry" as const);
const outcome = fc.constantFrom("delivered", "retrying", "held", "paused", "dead" as const);
const mostly = fc.integer({ min: 0, max: 4 }).map((chance) => chance > 0);

/** Everything that can happen to deliveries, in words that keep a counterexample readable. */
const anyStep = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("accept" as const), count: fc.integer({ min: 1, max: 3 }), isDispatched: mostly }) }, // prettier-ignore
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("take" as const), lane, pick }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("record" as const), pick, outcome, isEnqueued: mostly }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("crash" as const), pick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("retry manually" as const), pick }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("flush" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("split poison" as const), pick }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("release" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("watchdog" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("time passes" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("redis" as const), isReachable: fc.boolean() }) },
);
type Step = typeof anyStep extends fc.Arbitrary<infer T> ? T : never;

async function run(world: World, step: Step): Promise<void> {
  switch (step.kind) {
    case "accept":
      return world.accept(step.count, step.isDispatched);
    case "take":
      return world.workers.take(step.lane, step.pick);
    case "record":
      return world.workers.record(step.pick, step.outcome, step.isEnqueued);
    case "crash":
      return world.workers.crash(step.pick);
    case "retry manually":
      return world.retryManually(step.pick);
    case "flush":
      return world.flush();
    case "split poison":
      return world.splitPoison(step.pick);
    case "release":
      return world.release();
    case "watchdog":
      return world.watchdog();
    case "time passes":
      return world.timePasses();
    case "redis":
      return world.setRedisReachable(step.isReachable);
  }
}

/** Checks after every step that no delivery is lost, and that a delivered one stays delivered until a manual retry. */
async function play(world: World, sequence: readonly Step[]): Promise<void> {
  await world.accept(2, true);
  for (const step of sequence) {
    const before = await world.rows();
    await run(world, step);
    const after = new Map((await world.rows()).map((row) => [row.id, row]));
    expect(after.size).toBe(world.accepted);
    for (const { id, state } of before)
      if (state === "delivered" && step.kind !== "retry manually") expect(after.get(id)!.state).toBe("delivered");
  }
}

const sequences = fc.array(anyStep, { minLength: 1, maxLength: 25 });

test("no sequence of faults loses a delivery: after one watchdog run every unfinished one has a job, and all arrive", async () => {
  const property = fc.asyncProperty(sequences, async (sequence) => {
    const world = await World.create(pool);
    await play(world, sequence);
    world.setRedisReachable(true);
    await world.timePasses();
    await world.watchdog();
    await world.expectAllReachable();
    const late = [...world.workers.inHand];
    await world.drain();
    // Frozen workers wake up last: their records must overwrite nothing.
    for (const held of late)
      if (world.workers.inHand.includes(held))
        await world.workers.record(world.workers.inHand.indexOf(held), "retrying", false);
    for (const { state } of await world.rows()) expect(["delivered", "dead"]).toContain(state);
  });
  await repeatInLongRun(0.15, () => fc.assert(property, { numRuns: 60 }));
});
