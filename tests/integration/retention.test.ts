import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { randomUUID } from "node:crypto";
import { firstIdAt } from "@postrider/shared/core/ids/id-range.ts";
import { ensurePartitions, listPartitions } from "@postrider/shared/store/partitions.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { dropOldPartitions } from "../../apps/worker/src/upkeep/retention.ts";
import { startUpkeep } from "../../apps/worker/src/upkeep/upkeep.ts";

const DAY_MS = 86_400_000;
let world: World;
beforeAll(async () => {
  world = await createTestWorld({ RETENTION_DAYS: "3" });
});
afterAll(() => world.close());

const insert = (daysAgo: number, state: string) =>
  world.context.pool.query(
    `insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, batch_id, settled_at)
     values ($1, $1, $2, 'default', 'x', $3, case when $3 = 'pending' then gen_random_uuid() end, case when $3 = 'delivered' then now() end)`,
    [`${firstIdAt(Date.now() - daysAgo * DAY_MS).slice(0, 24)}${randomUUID().slice(24)}`, randomUUID(), state],
  );

test("partitions past the retention are dropped, and unfinished deliveries in them are expired and counted", async () => {
  const { pool } = world.context;
  const now = Date.now();
  const before = (await listPartitions(pool)).length;
  const made = await ensurePartitions(pool, now - 10 * DAY_MS, now - 2 * DAY_MS);
  await insert(9, "pending");
  await insert(5, "pending");
  await insert(5, "delivered");
  await insert(2, "pending");

  const run = await dropOldPartitions(world.context);
  expect(run.expired).toBe(2);
  // 10 to 4 days ago are past it; of the day that is 3 days ago only a part is.
  expect(run.dropped).toHaveLength(3 * 7);
  expect((await world.rows()).map(({ state }) => state)).toEqual(["pending"]);
  expect(await listPartitions(pool)).toHaveLength(before + made.length - run.dropped.length);
  expect(await dropOldPartitions(world.context)).toEqual({ dropped: [], expired: 0 });
});

test("an expansion of a dropped day ends first, and the deliveries that it never wrote are counted", async () => {
  const { pool } = world.context;
  await world.subscribeMany(1_300, "large");
  await world.accept({ tenant: "large" }, { tenant: "large" });
  // One of them was accepted ten days ago.
  const old = `${firstIdAt(Date.now() - 10 * DAY_MS).slice(0, 14)}7${randomUUID().slice(15)}`;
  await ensurePartitions(pool, Date.now() - 10 * DAY_MS, Date.now() - 10 * DAY_MS);
  await pool.query(
    "update expansions set event_id = $1 where event_id = (select event_id from expansions order by event_id limit 1)",
    [old],
  );
  const run = await dropOldPartitions(world.context);
  expect(run).toMatchObject({ expired: 300 });
  expect(run.dropped).toHaveLength(3);
  const { rows } = await pool.query<{ id: string }>("select event_id as id from expansions");
  expect(rows).toHaveLength(1);
  expect(rows[0]!.id).not.toBe(old);
  await pool.query("truncate events, deliveries, expansions, subscriptions, subscription_patterns");
});

test("while an expansion cannot be ended, no day is dropped", async () => {
  const { pool } = world.context;
  await ensurePartitions(pool, Date.now() - 10 * DAY_MS, Date.now() - 10 * DAY_MS);
  const before = (await listPartitions(pool)).length;
  await pool.query("alter table expansions rename column written to renamed");
  await expect(dropOldPartitions(world.context)).rejects.toThrow(/written/);
  expect(await listPartitions(pool)).toHaveLength(before);
  await pool.query("alter table expansions rename column renamed to written");
  expect((await dropOldPartitions(world.context)).dropped).toHaveLength(3);
});

test("retention goes by Postgres's clock: a worker whose clock is thirty days ahead drops nothing that is younger", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 30 * DAY_MS });
  try {
    expect(await dropOldPartitions(world.context)).toEqual({ dropped: [], expired: 0 });
  } finally {
    vi.useRealTimers();
  }
});

test("a day that cannot be dropped keeps no other day, and its events outlive its deliveries", async () => {
  const { pool } = world.context;
  const now = Date.now();
  await ensurePartitions(pool, now - 12 * DAY_MS, now - 10 * DAY_MS);
  const namesOf = async () =>
    (await listPartitions(pool)).filter(({ to }) => to < firstIdAt(now - 8 * DAY_MS)).map(({ name }) => name);
  const [first, ...others] = (await namesOf()).filter((name) => name.startsWith("deliveries"));
  expect(others).toHaveLength(2);
  await insert(12, "pending");
  await pool.query(`alter table "${first}" add constraint broken check (state = 'pending')`);
  await expect(dropOldPartitions(world.context)).rejects.toThrow(/violates check constraint "broken"/);
  expect((await namesOf()).toSorted()).toEqual([first, first!.replace("deliveries", "events")]);
  await pool.query(`alter table "${first}" drop constraint broken`);
  expect((await dropOldPartitions(world.context)).dropped).toHaveLength(2);
});

test("a failing task of the upkeep keeps no other from running", async () => {
  const { pool } = world.context;
  await ensurePartitions(pool, Date.now() - 20 * DAY_MS, Date.now() - 20 * DAY_MS);
  const before = (await listPartitions(pool)).length;
  await pool.query("alter table idempotency_keys rename column expires_at to renamed");
  const upkeep = startUpkeep(world.context);
  try {
    await expect.poll(async () => (await listPartitions(pool)).length).toBe(before - 3);
  } finally {
    await upkeep.stop();
    await pool.query("alter table idempotency_keys rename column renamed to expires_at");
  }
});

test("creating partitions twice and concurrently creates each once", async () => {
  const { pool } = world.context;
  const from = Date.now() + 20 * DAY_MS;
  const made = await Promise.all([1, 2, 3].map(() => ensurePartitions(pool, from, from + DAY_MS)));
  expect(made.flat()).toHaveLength(6);
  expect(new Set(made.flat()).size).toBe(6);
});
