import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { family } from "@postrider/shared/core/ids/id-range.ts";

let world: World;
beforeAll(async () => {
  world = await createTestWorld();
});
afterAll(() => world.close());
beforeEach(() => world.empty());

const count = async (table: string) =>
  Number((await world.context.pool.query<{ count: string }>(`select count(*) from ${table}`)).rows[0]!.count);

test("accepting stores the event and one delivery per matching subscription, whose ids begin with the event's", async () => {
  await world.subscribe({ eventTypes: ["*", "order.*", "order.created"] });
  await world.subscribe({ eventTypes: ["invoice.*"] });
  await world.subscribe({ tenant: "other" });
  const [accepted] = await world.accept({ type: "order.created" });
  expect(accepted).toMatchObject({ kind: "accepted", deliveries: 1, duplicate: false });
  const [row, ...more] = await world.rows();
  expect(more).toEqual([]);
  const { from, to } = family((accepted as { id: string }).id);
  expect(from < row!.id && row!.id < to).toBe(true);
  expect(row).toMatchObject({ state: "pending", batch_id: world.batches[0]!.id });
});

test("accepting stores an event without a matching subscription", async () => {
  expect(await world.accept({ type: "nobody.cares" })).toMatchObject([{ deliveries: 0 }]);
  expect(await count("events")).toBe(1);
  expect(world.batches).toEqual([]);
});

test("accepting makes deliveries for paused subscriptions, because matching ignores health", async () => {
  await world.subscribe({ status: "paused" });
  expect(await world.accept({})).toMatchObject([{ deliveries: 1 }]);
});

test("deliveries of one commit are dispatched in batches of 100, whose ranges contain their rows", async () => {
  for (let n = 0; n < 3; n += 1) await world.subscribe();
  await world.accept(...Array.from({ length: 75 }, () => ({})));
  expect(world.batches.map(({ size }) => size).sort((a, b) => a - b)).toEqual([25, 100, 100]);
  const rows = await world.rows();
  for (const batch of world.batches) {
    const own = rows.filter((row) => row.batch_id === batch.id);
    expect(own).toHaveLength(batch.size);
    expect(own.every(({ id }) => batch.from <= id && id <= batch.to)).toBe(true);
  }
});

test("an event that Postgres refuses fails alone, and the other events of the flush are stored", async () => {
  await world.subscribe();
  const results = await Promise.allSettled([
    world.accept({ data: `{"n":1}` }),
    // The API refuses such a tenant; here it stands for whatever data may break the statement.
    world.accept({ tenant: "nul\0" }),
    world.accept({ data: `{"n":2}` }),
  ]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(await count("events")).toBe(2);
});

test("accepting creates a missing partition without an error", async () => {
  const { pool } = world.context;
  const { rows } = await pool.query<{ name: string }>(
    "select tableoid::regclass::text as name from events union select 'events_' || to_char(now() at time zone 'utc', 'YYYY_MM_DD')",
  );
  await pool.query(`drop table ${rows[0]!.name}`);
  expect(await world.accept({})).toMatchObject([{ kind: "accepted" }]);
  expect(await count("events")).toBe(1);
});

test("used again with the same body answers the first event, with its deliveries", async () => {
  await world.subscribe();
  const [first] = await world.accept({ idempotencyKey: "k", data: `{"a":1}` });
  const [second] = await world.accept({ idempotencyKey: "k", data: `{"a":1}` });
  expect(second).toEqual({ ...first, duplicate: true });
  expect(await count("deliveries")).toBe(1);
});

test("used again with another body or type is a conflict that stores nothing", async () => {
  await world.accept({ idempotencyKey: "k", data: `{"a":1}` });
  expect(await world.accept({ idempotencyKey: "k", data: `{"a":2}` })).toEqual([{ kind: "conflict", index: 0 }]);
  expect(await world.accept({ idempotencyKey: "k", type: "x", data: `{"a":1}` })).toEqual([
    { kind: "conflict", index: 0 },
  ]);
  expect(await count("events")).toBe(1);
});

test("belongs to its tenant", async () => {
  await world.accept({ idempotencyKey: "k", tenant: "a" });
  expect(await world.accept({ idempotencyKey: "k", tenant: "b", data: "1" })).toMatchObject([{ duplicate: false }]);
});

test("used fifty times at once makes one event", async () => {
  await world.subscribe();
  const results = await Promise.all(Array.from({ length: 50 }, () => world.accept({ idempotencyKey: "once" })));
  const ids = new Set(results.map(([result]) => (result as { id: string }).id));
  expect(ids.size).toBe(1);
  expect(results.filter(([result]) => !(result as { duplicate: boolean }).duplicate)).toHaveLength(1);
  expect(await count("events")).toBe(1);
  expect(await count("deliveries")).toBe(1);
});

test("a conflict in a batch rolls back the whole batch, including its other idempotency keys", async () => {
  await world.accept({ idempotencyKey: "used", data: "1" });
  const batch = [{ idempotencyKey: "fresh" }, { idempotencyKey: "used", data: "2" }, {}];
  expect(await world.accept(...batch)).toEqual(batch.map(() => ({ kind: "conflict", index: 1 })));
  expect(await count("events")).toBe(1);
  expect(await world.accept({ idempotencyKey: "fresh", data: `"free"` })).toMatchObject([{ duplicate: false }]);
});

test("twice in one batch is one event, or a conflict", async () => {
  const same = { idempotencyKey: "k", data: "1" };
  const [first, second] = await world.accept(same, same);
  expect(second).toEqual({ ...first, duplicate: true });
  expect(await world.accept({ idempotencyKey: "x", data: "1" }, { idempotencyKey: "x", data: "2" })).toMatchObject([{ kind: "conflict" }, { kind: "conflict" }]); // prettier-ignore
});

test("an expired idempotency key can be used again", async () => {
  await world.accept({ idempotencyKey: "k", data: "1" });
  await world.context.pool.query("update idempotency_keys set expires_at = now() - interval '1 second'");
  expect(await world.accept({ idempotencyKey: "k", data: "2" })).toMatchObject([
    { kind: "accepted", duplicate: false },
  ]);
  expect(await world.accept({ idempotencyKey: "k", data: "2" })).toMatchObject([{ kind: "accepted", duplicate: true }]);
});
