import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { firstIdAt } from "@postrider/shared/core/ids/id-range.ts";
import { expandJob } from "@postrider/shared/queue/jobs.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { readSubscriptionLimits } from "@postrider/shared/store/sql/read-subscription-limits.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { startControlLane } from "../../apps/worker/src/lanes/control-lane.ts";
import { runOnce } from "../../apps/worker/src/upkeep/watchdog.ts";

let world: World;
beforeAll(async () => {
  world = await createTestWorld({ WATCHDOG_INTERVAL: "100ms" });
});
afterAll(() => world.close());
beforeEach(() => world.empty());

const query = async <Row extends object>(text: string, ...values: unknown[]): Promise<Row[]> =>
  (await world.context.pool.query<Row>(text, values)).rows;

const unfinished = async (tenant: string) =>
  (await query<{ n: number }>("select count(*)::int as n from expansions where tenant = $1", tenant))[0]!.n;

async function whileTheLaneRuns(work: () => Promise<void>): Promise<void> {
  const lane = startControlLane(world.context);
  try {
    await work();
  } finally {
    await lane.stop();
  }
}

test("tenants take turns with pages: a fan-out is not written after all of a larger one", async () => {
  await world.subscribeMany(4_000, "large");
  await world.subscribeMany(2_500, "medium");
  await world.accept(...Array.from({ length: 15 }, () => ({ tenant: "large" })));
  await world.context.enqueue.expand(["large"]);
  await whileTheLaneRuns(async () => {
    await waitFor("the large one is being written", async () => (await unfinished("large")) < 15);
    await world.accept({ tenant: "medium" });
    await world.context.enqueue.expand(["medium"]);
    await waitFor("the medium one is written", async () => (await unfinished("medium")) === 0, { every: 5 });
    expect(await unfinished("large")).toBeGreaterThan(0);
    await waitFor("the large one is written", async () => (await unfinished("large")) === 0);
  });
  const made = await query<{ tenant: string; n: number }>(
    "select tenant, count(distinct (event_id, subscription_id))::int as n from deliveries group by tenant order by tenant",
  );
  expect(made).toEqual([
    { tenant: "large", n: 60_000 },
    { tenant: "medium", n: 2_500 },
  ]);
});

test("pages are dispatched when they are committed, and so is what is accepted while the job ends", async () => {
  await world.subscribeMany(1_250);
  await world.accept({});
  await world.context.enqueue.expand(["default"]);
  await whileTheLaneRuns(async () => {
    for (let n = 0; n < 10; n += 1) {
      await waitFor("the event is written", async () => (await unfinished("default")) === 0, { every: 1 });
      await world.accept({});
      await world.context.enqueue.expand(["default"]);
    }
    await waitFor("all are written", async () => (await unfinished("default")) === 0);
  });
  const counts = await world.context.queues.dispatch.getJobCounts("prioritized", "waiting");
  // Batches of the first statements are not dispatched here.
  expect(counts).toMatchObject({ prioritized: 11 * 3, waiting: 0 });
});

test("the watchdog adds the expand job of a tenant that has none, also after Redis was emptied", async () => {
  const { redis, queues, pool } = world.context;
  await world.subscribeMany(1_001, "a");
  await world.subscribeMany(1_001, "b");
  await world.accept({ tenant: "a" }, { tenant: "a" }, { tenant: "b" });
  const ids = ["a", "b"].map((tenant) => expandJob(tenant).opts.jobId);
  for (let n = 0; n < 2; n += 1) {
    expect(await runOnce(world.context)).toMatchObject({ expanding: { examined: 2, repaired: 2 } });
    expect(await Promise.all(ids.map((id) => queues.control.getJobState(id)))).toEqual(["waiting", "waiting"]);
    expect(await runOnce(world.context)).toMatchObject({ expanding: { examined: 2, repaired: 0 } });
    await redis.flushdb();
  }
  await pool.query("delete from expansions where tenant = 'a'");
  expect(await runOnce(world.context)).toMatchObject({ expanding: { examined: 1, repaired: 1 } });
});

test("an expansion whose day was dropped ends, and the tenant's others are written", async () => {
  await world.subscribeMany(1_250);
  await world.accept({}, {});
  await query(
    "update expansions set event_id = $1 where event_id = (select event_id from expansions order by event_id limit 1)",
    `${firstIdAt(Date.now() - 400 * 86_400_000).slice(0, 14)}7${newId().slice(15)}`,
  );
  await world.context.enqueue.expand(["default"]);
  await whileTheLaneRuns(async () => {
    await waitFor("none is unfinished", async () => (await unfinished("default")) === 0);
  });
  expect(await query("select event_id from deliveries group by event_id having count(*) = 1250")).toHaveLength(1);
});

test("a worker that takes an expand job for a release job fails on it, and leaves it in the queue", async () => {
  const job = expandJob("a");
  await expect(readSubscriptionLimits(world.context.pool, job.data.subscription)).rejects.toThrow(
    /invalid input syntax/,
  );
  expect(job.opts.attempts).toBeGreaterThan(100_000);
});
