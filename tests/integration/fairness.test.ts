import { Worker } from "bullmq";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { priorityOfBatch } from "@postrider/shared/core/ids/batch-id.ts";
import { dispatchJob, type Batch } from "@postrider/shared/queue/jobs.ts";
import { KEY_PREFIX } from "@postrider/shared/queue/keys.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { promoteDeferred } from "../../apps/worker/src/lanes/promote-deferred.ts";
import { runOnce } from "../../apps/worker/src/upkeep/watchdog.ts";

let world: World;
beforeAll(async () => {
  world = await createTestWorld({ WATCHDOG_INTERVAL: "100ms" });
});
beforeEach(() => world.empty());
afterAll(() => world.close());

const FLOOD = "flood";
const isBehind = ({ id }: Batch) => priorityOfBatch(id) > 0;
const isInFront = ({ id }: Batch) => priorityOfBatch(id) === 0;

/** Far over its share, in one request after the other. */
async function flood(requests = 8): Promise<void> {
  await world.subscribe({ tenant: FLOOD });
  for (let request = 0; request < requests; request += 1) {
    await world.accept(...Array.from({ length: 500 }, () => ({ tenant: FLOOD })));
  }
}

const add = (batches: readonly Batch[]) => world.context.queues.dispatch.addBulk(batches.map(dispatchJob));

/** Ids of the batches in the order in which a worker takes them. */
async function takenFirst(count: number): Promise<string[]> {
  const worker = new Worker("dispatch", null, {
    connection: world.context.workerRedis,
    prefix: KEY_PREFIX,
  });
  try {
    const taken: string[] = [];
    while (taken.length < count) taken.push((await worker.getNextJob(`token-${taken.length}`)).id!);
    return taken;
  } finally {
    await worker.close(true);
  }
}

test("deliveries beyond a tenant's share go to deprioritized batches of their own, each delivery in exactly one", async () => {
  await flood();
  await world.subscribe({ tenant: "quiet" });
  const before = world.batches.length;
  await world.accept(...Array.from({ length: 150 }, (_, index) => ({ tenant: index % 3 === 0 ? "quiet" : FLOOD })));
  const made = world.batches.slice(before);
  expect(made.filter(isInFront).map(({ size }) => size)).toEqual([50]);
  expect(made.filter(isBehind).map(({ size }) => size)).toEqual([100]);
  const tenants = await world.context.pool.query<{ batch_id: string; tenants: string[]; size: number }>(
    "select batch_id, array_agg(distinct tenant) as tenants, count(*)::int as size from deliveries group by batch_id",
  );
  expect(tenants.rows).toHaveLength(world.batches.length);
  for (const { batch_id, tenants: own, size } of tenants.rows) {
    const batch = world.batches.find(({ id }) => id === batch_id)!;
    expect(batch.size).toBe(size);
    if (isBehind(batch)) expect(own).toEqual([FLOOD]);
  }
});

test("a thousand quiet tenants share full batches", async () => {
  const tenants = Array.from({ length: 1_000 }, (_, index) => `quiet-${index}`);
  for (const tenant of tenants) await world.subscribe({ tenant });
  await world.accept(...tenants.map((tenant) => ({ tenant })));
  expect(world.batches.map((batch) => [batch.size, isInFront(batch)])).toEqual(Array.from({ length: 10 }, () => [100, true])); // prettier-ignore
});

test("a worker takes a quiet tenant's batch before the earlier excess of a flood, and the flood's in the order of priority", async () => {
  await flood();
  await add(world.batches);
  const behind = world.batches.filter(isBehind);
  const inFront = world.batches.filter(isInFront);
  await world.subscribe({ tenant: "quiet" });
  world.batches.length = 0;
  await world.accept({ tenant: "quiet" });
  const [quiet] = world.batches;
  await add(world.batches);
  const taken = await takenFirst(inFront.length + 2);
  expect(taken.slice(0, -1).toSorted()).toEqual([...inFront.map(({ id }) => id), quiet!.id].toSorted());
  const lowest = Math.min(...behind.map(({ id }) => priorityOfBatch(id)));
  expect(priorityOfBatch(taken.at(-1)!)).toBe(lowest);
});

test("after Redis was emptied the watchdog deprioritizes the excess of a flood again", async () => {
  await flood();
  await world.subscribe({ tenant: "quiet" });
  await world.accept({ tenant: "quiet" });
  // Nothing of it ever reached Redis, and the watchdog's grace is over.
  await expect
    .poll(async () => {
      await runOnce(world.context);
      return world.context.queues.dispatch.count();
    })
    .toBe(world.batches.length);
  const jobs = await world.context.queues.dispatch.getJobs(["waiting", "prioritized"]);
  const priorityOf = new Map(jobs.map((job) => [job.id!, job.opts.priority ?? 0]));
  expect(priorityOf.size).toBe(world.batches.length);
  expect(priorityOf.get(world.batches.at(-1)!.id)).toBe(0);
  for (const batch of world.batches) expect(priorityOf.get(batch.id)).toBe(priorityOfBatch(batch.id));
  expect(Math.max(...priorityOf.values())).toBeGreaterThan(2);
});

test("tenants that flood alike share full batches", async () => {
  const floods = Array.from({ length: 5 }, (_, index) => `flood-${index}`);
  for (const tenant of floods) await world.subscribe({ tenant });
  const latest = () => world.batches.slice(-10);
  // A slow machine needs more requests until every tenant has exceeded its share, which is a rate.
  for (let request = 0; request < 50 && !(request > 0 && latest().every(isBehind)); request += 1) {
    await world.accept(...Array.from({ length: 1_000 }, (_, index) => ({ tenant: floods[index % 5]! })));
  }
  expect(latest().every(isBehind)).toBe(true);
  expect(latest().map(({ size }) => size)).toEqual(Array.from({ length: 10 }, () => 100));
});

const FANOUT = 1_000;
const size = (batches: readonly Batch[]) => batches.reduce((sum, batch) => sum + batch.size, 0);

/** The first event of a new tenant with many subscriptions. */
async function fanOut(): Promise<void> {
  const tenant = newTenant();
  for (let made = 0; made < FANOUT; made += 100) {
    await Promise.all(Array.from({ length: 100 }, () => world.subscribe({ tenant })));
  }
  await world.accept({ tenant });
}

test("of a tenant's first event 200 deliveries are in shared batches, and the later ones go further behind", async () => {
  await fanOut();
  expect(size(world.batches)).toBe(FANOUT);
  expect(size(world.batches.filter(isInFront))).toBe(200);
  const sizes = new Map<number, number>();
  for (const batch of world.batches) {
    const priority = priorityOfBatch(batch.id);
    sizes.set(priority, (sizes.get(priority) ?? 0) + batch.size);
  }
  // 201 to 399, 400 to 799, 800 to 1,000.
  expect([...sizes].toSorted(([a], [b]) => a - b)).toEqual([
    [0, 200],
    [2, 199],
    [3, 400],
    [4, 201],
  ]);
});

test("many events of a tenant in one request are one fan-out: 200 of their deliveries are in shared batches", async () => {
  for (let made = 0; made < 20; made += 1) await world.subscribe({ tenant: "batch" });
  await world.subscribe({ tenant: "quiet" });
  await world.accept(...Array.from({ length: 50 }, () => ({ tenant: "batch" })), { tenant: "quiet" });
  expect(size(world.batches.filter(isInFront))).toBe(201);
  expect(size(world.batches)).toBe(1_001);
});

test("a worker takes a neighbour's batch before the tail of a fan-out that was committed earlier", async () => {
  await fanOut();
  await world.subscribe({ tenant: "quiet" });
  await world.accept({ tenant: "quiet" });
  const quiet = world.batches.at(-1)!;
  await add(world.batches);
  const inFront = world.batches.filter(isInFront).length;
  expect(await takenFirst(inFront)).toContain(quiet.id);
});

test("a deferred batch joins the end of the others' queue while they fill the fleet, and waits for nothing otherwise", async () => {
  await fanOut();
  const behind = world.batches.filter(isBehind);
  await add(behind);
  expect(await promoteDeferred(world.context)).toBeUndefined();
  const inFront = world.batches.filter(isInFront);
  await add(inFront);
  const promoted = await promoteDeferred(world.context);
  expect(behind.map(({ id }) => id)).toContain(promoted);
  expect(await takenFirst(inFront.length + 1)).toEqual([...inFront.map(({ id }) => id), promoted]);
});
