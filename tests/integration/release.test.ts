import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { familyRange } from "@postrider/shared/core/ids/id-range.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { splitPoisonBatchRows } from "@postrider/shared/store/sql/split-poison-batch.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { RetryLater } from "../../apps/worker/src/job/retry-later.ts";
import { loadAndHold } from "../../apps/worker/src/load/load-and-hold.ts";
import { pollReleased } from "../../apps/worker/src/release/poll-released.ts";
import { release } from "../../apps/worker/src/release/release-held.ts";
import { releaseLongestHeld } from "../../apps/worker/src/release/release-longest-held.ts";
import { Releases } from "../../apps/worker/src/release/releases.ts";

let world: World;
beforeAll(async () => {
  world = await createTestWorld();
});
beforeEach(() =>
  world.context.pool.query("truncate deliveries, events, attempts, subscriptions, subscription_patterns"),
);
afterAll(() => world.close());

test("the longest held deliveries are released first, in a batch for each worker", async () => {
  const subscription = await world.subscribe();
  const held = await world.hold(10);
  const released = await releaseLongestHeld(world.context, subscription, 5, 2);
  expect(released.toSorted()).toEqual(held.slice(0, 5));
  const batches = Map.groupBy(await world.rows(), ({ batch_id }) => batch_id);
  expect([...batches.values()].map((rows) => rows.length).toSorted((a, b) => a - b)).toEqual([2, 3, 5]);
  for (const batch of batches.keys()) {
    if (batch !== null) expect(await world.context.queues.dispatch.getJobState(batch)).not.toBe("unknown");
  }
});

test("a delivery that failed and was held again is released after deliveries that are held for longer", async () => {
  const subscription = await world.subscribe();
  const [older, ...others] = await world.hold(4);
  await world.context.pool.query("update deliveries set held_at = now(), attempt_count = 1 where id = $1", [older]);
  expect((await releaseLongestHeld(world.context, subscription, 3, 32)).toSorted()).toEqual(others);
  expect(await releaseLongestHeld(world.context, subscription, 3, 32)).toEqual([older]);
});

test("a delivery that is released and held again without an attempt counts as held since it was held first", async () => {
  const { pool, recorder } = world.context;
  const subscription = await world.subscribe();
  await world.hold(1);
  const [before] = (await pool.query("select held_at from deliveries")).rows;
  await releaseLongestHeld(world.context, subscription, 1, 32);
  const [delivery] = await world.load();
  await recorder.record({ delivery: delivery!, transition: { state: "held", reason: "max_in_flight" }, attempt: undefined, scheduleStep: 0, lastError: null }); // prettier-ignore
  expect((await pool.query("select held_at, held_reason from deliveries")).rows).toEqual([{ ...before, held_reason: "max_in_flight" }]); // prettier-ignore
});

test("a released delivery is on its way until it leaves the state pending", async () => {
  const { pool } = world.context;
  const subscription = await world.subscribe();
  await world.hold(4);
  const released = new Set(await releaseLongestHeld(world.context, subscription, 4, 32));
  const ids = [...released];
  await pool.query("update deliveries set state = 'delivered', batch_id = null, settled_at = now() where id = any ($1::uuid[])", [ids.slice(0, 2)]); // prettier-ignore
  await pool.query("update deliveries set state = 'held', held_reason = 'max_in_flight', batch_id = null where id = $1", [ids[2]]); // prettier-ignore
  expect(await pollReleased(pool, released)).toEqual({ completed: 3, failed: 1 });
  expect([...released]).toEqual([ids[3]]);
});

test("a saturated subscription's fresh deliveries are held when their batch is loaded, and its released ones are not", async () => {
  const subscription = await world.subscribe();
  const [released, ...fresh] = await world.hold(3);
  await releaseLongestHeld(world.context, subscription, 1, 1);
  // One batch of all three, as it is after a poison batch is split or joined by hand.
  const id = (await world.rows())[0]!.batch_id!;
  await world.context.pool.query("update deliveries set state = 'pending', batch_id = $1, held_reason = null, held_at = null where state = 'held'", [id]); // prettier-ignore
  const batch = { id, ...familyRange([released!, ...fresh]) };
  const loaded = await loadAndHold(world.context, batch, [], new Map([[subscription, "rate_limit"]]));
  expect(loaded).toMatchObject([{ id: released, isReleased: true }]);
  expect((await world.rows()).map(({ state }) => state)).toEqual(["pending", "held", "held"]);
});

test("a released delivery is still known as released when its batch is loaded again after its worker died, or split", async () => {
  const subscription = await world.subscribe();
  await world.hold(2);
  await releaseLongestHeld(world.context, subscription, 2, 1);
  expect((await world.load()).map(({ isReleased }) => isReleased)).toEqual([true, true]);
  const id = (await world.rows())[0]!.batch_id!;
  await splitPoisonBatchRows(world.context.pool, { id, ...familyRange((await world.rows()).map((row) => row.id)) }, newId()); // prettier-ignore
  expect((await world.load()).map(({ isReleased }) => isReleased)).toEqual([true, true]);
});

test("a delivery counts as released until its attempt, and not when it is retried", async () => {
  const { recorder } = world.context;
  const subscription = await world.subscribe();
  await world.hold(1);
  expect(await world.load()).toMatchObject([{ state: "held", isReleased: false }]);
  await releaseLongestHeld(world.context, subscription, 1, 1);
  const [delivery] = await world.load();
  expect(delivery).toMatchObject({ isReleased: true });
  const attempt = { id: newId(), trigger: "auto" as const, startedAt: new Date(), durationMs: 1, responseStatus: 500, responseBody: "", error: null }; // prettier-ignore
  await recorder.record({ delivery: delivery!, transition: { state: "retrying", delayMs: 0 }, attempt, scheduleStep: 1, lastError: "HTTP 500" }); // prettier-ignore
  expect(await world.load()).toMatchObject([{ state: "retrying", isReleased: false }]);
});

const onTheWay = async () => (await world.rows()).filter(({ state }) => state === "pending").length;

/** Runs the release job of a subscription, with no worker that takes what it releases. */
async function whileReleasing(subscription: string, work: () => Promise<void>): Promise<void> {
  const stopping = new AbortController();
  const running = release(
    world.context,
    subscription,
    { signal: stopping.signal, isHeld: () => !stopping.signal.aborted },
    new Releases(world.context.redis, 10),
  ).catch((error: unknown) => error);
  await work();
  stopping.abort();
  expect(await running).toBeInstanceOf(RetryLater);
}

test("a release goes on only as its released deliveries leave the workers, whatever it holds", async () => {
  const { pool } = world.context;
  const subscription = await world.subscribe();
  await pool.query("update subscriptions set rate_limit = 10");
  await world.hold(100);
  await whileReleasing(subscription, async () => {
    // A second's worth: more would only wait in the workers.
    await expect.poll(onTheWay).toBe(10);
    await sleep(1_500);
    expect(await onTheWay()).toBe(10);
    await pool.query("update deliveries set state = 'delivered', batch_id = null, held_at = null, settled_at = now() where state = 'pending'"); // prettier-ignore
    await expect.poll(onTheWay).toBe(10);
  });
});

test("a release without a limit starts slowly, and stops at two deliveries for each slot that maxInFlight allows", async () => {
  const { pool } = world.context;
  const subscription = await world.subscribe();
  await pool.query("update subscriptions set max_in_flight = 5");
  await world.hold(100);
  const startedAt = performance.now();
  await whileReleasing(subscription, async () => {
    await expect.poll(onTheWay).toBe(10);
    // One at once and four in the first second; a machine that is busy makes it only slower.
    expect(performance.now() - startedAt).toBeGreaterThan(1_000);
    await sleep(1_000);
    expect(await onTheWay()).toBe(10);
  });
});

test("a hundred releases in one process keep a bounded number of deliveries on their way", async () => {
  const releases = new Releases(world.context.redis, 256);
  const runs = Array.from({ length: 100 }, (_, index) => releases.start(`subscription-${index}`));
  for (let round = 0; round < 20; round += 1) {
    for (const run of runs) {
      const room = Math.min(128 - run.released.size, releases.roomFor(run));
      for (let n = 0; n < room; n += 1) run.released.add(newId());
    }
  }
  const sizes = runs.map(({ released }) => released.size);
  expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(1_000);
  expect(Math.min(...sizes)).toBeGreaterThanOrEqual(2);
});

test("a release that another process takes over has the same deliveries on their way, and releases no more", async () => {
  const { pool } = world.context;
  const subscription = await world.subscribe();
  await pool.query("update subscriptions set rate_limit = 10");
  await world.hold(100);
  await whileReleasing(subscription, () => expect.poll(onTheWay).toBe(10));
  await whileReleasing(subscription, async () => {
    await sleep(2_000);
    expect(await onTheWay()).toBe(10);
  });
});
