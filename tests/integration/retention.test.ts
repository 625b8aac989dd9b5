import { afterAll, beforeAll, expect, test } from "vitest";
import { randomUUID } from "node:crypto";
import { firstIdAt } from "@postrider/shared/core/ids/id-range.ts";
import { ensurePartitions, listPartitions } from "@postrider/shared/store/partitions.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { dropOldPartitions } from "../../apps/worker/src/upkeep/retention.ts";

const DAY_MS = 86_400_000;
let world: World;
beforeAll(async () => {
  world = await createTestWorld({ RETENTION_DAYS: "3" });
});
afterAll(() => world.close());

test("partitions past the retention are dropped, and unfinished deliveries in them are expired and counted", async () => {
  const { pool } = world.context;
  const now = Date.now();
  const before = (await listPartitions(pool)).length;
  const made = await ensurePartitions(pool, now - 10 * DAY_MS, now - 2 * DAY_MS);
  const subscription = await world.subscribe();
  const insert = (daysAgo: number, state: string) =>
    pool.query(
      `insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, batch_id, settled_at)
       values ($1, $1, $2, 'default', 'x', $3, case when $3 = 'pending' then gen_random_uuid() end, case when $3 = 'delivered' then now() end)`,
      [`${firstIdAt(now - daysAgo * DAY_MS).slice(0, 24)}${randomUUID().slice(24)}`, subscription, state],
    );
  await insert(9, "pending");
  await insert(5, "pending");
  await insert(5, "delivered");
  await insert(2, "pending");

  const run = await dropOldPartitions(world.context, now);
  expect(run.expired).toBe(2);
  // 10 to 4 days ago are past it; of the day that is 3 days ago only a part is.
  expect(run.dropped).toHaveLength(3 * 7);
  expect((await world.rows()).map(({ state }) => state)).toEqual(["pending"]);
  expect(await listPartitions(pool)).toHaveLength(before + made.length - run.dropped.length);
  expect(await dropOldPartitions(world.context, now)).toEqual({ dropped: [], expired: 0 });
});

test("creating partitions twice and concurrently creates each once", async () => {
  const { pool } = world.context;
  const from = Date.now() + 20 * DAY_MS;
  const made = await Promise.all([1, 2, 3].map(() => ensurePartitions(pool, from, from + DAY_MS)));
  expect(made.flat()).toHaveLength(6);
  expect(new Set(made.flat()).size).toBe(6);
});
