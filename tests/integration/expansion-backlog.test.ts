import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import type { World } from "@postrider/testkit/world/world.ts";

let world: World;
beforeAll(async () => {
  world = await createTestWorld();
});
afterAll(() => world.close());
beforeEach(() => world.empty());

const query = async <Row extends object>(text: string, ...values: unknown[]): Promise<Row[]> =>
  (await world.context.pool.query<Row>(text, values)).rows;

/** Unfinished events of a tenant, of which nothing else is stored. */
const backlog = (tenant: string, events: number, unwritten = 1_000) =>
  query(
    `insert into expansions (event_id, tenant, event_type, patterns, last_subscription, written, matches, first_batch)
     select gen_random_uuid(), $1, 'x', '*', gen_random_uuid(), 1000, 1000 + $3, 0 from generate_series(1, $2)`,
    tenant,
    events,
    unwritten,
  );

test("a tenant with more than five million unwritten deliveries is refused further expansions, and nothing else is", async () => {
  await world.subscribeMany(2_000);
  await world.subscribe({ tenant: "other" });
  await backlog("default", 4_999);
  expect(await world.accept({ idempotencyKey: "before" })).toMatchObject([{ expanding: true }]);
  await backlog("default", 50);
  const refused = Promise.allSettled([world.accept({ idempotencyKey: "k" }), world.accept({ tenant: "other" }, {})]);
  const neighbours = await Promise.all([world.accept({ tenant: "other" }), world.accept({ tenant: "other" })]);
  expect(neighbours).toMatchObject([[{ deliveries: 1 }], [{ deliveries: 1 }]]);
  for (const result of await refused) {
    expect(result).toMatchObject({ status: "rejected", reason: { code: "expansion_backlog" } });
  }
  expect(await query("select from events")).toHaveLength(3);
  expect(await query("select from deliveries where tenant = 'default'")).toHaveLength(1_000);
  expect(await query("select from idempotency_keys where key = 'k'")).toHaveLength(0);
  // An event with few deliveries adds nothing to the backlog.
  await query("update subscription_patterns set pattern = 'large' where tenant = 'default'");
  await world.subscribe({ eventTypes: ["few"] });
  expect(await world.accept({ type: "few" })).toMatchObject([{ deliveries: 1, expanding: false }]);
});

test("events of a refused type are accepted again when the backlog is shorter", async () => {
  await world.subscribeMany(2_000);
  await backlog("default", 5_050);
  await expect(world.accept({ type: "again" })).rejects.toMatchObject({ code: "expansion_backlog" });
  await query("delete from expansions");
  const [accepted] = await waitFor("it is accepted", () => world.accept({ type: "again" }));
  expect(accepted).toMatchObject({ deliveries: 1_000, expanding: true });
});

test("a refused statement has written no deliveries", async () => {
  await world.subscribeMany(2_000, "refused");
  await backlog("refused", 5_050);
  await expect(world.accept({ tenant: "refused" })).rejects.toMatchObject({ code: "expansion_backlog" });
  // Rows that are rolled back stay in the file until a vacuum.
  const [files] = await query<{ bytes: number }>(
    `select sum(pg_relation_size(relid))::int as bytes from pg_partition_tree('deliveries') where isleaf`,
  );
  expect(files!.bytes).toBe(0);
});

test("a batch is refused for its own events alone, and a part of it is not", async () => {
  const batch = Array.from({ length: 1_000 }, () => ({ tenant: "batch", type: "first.time" }));
  await world.subscribeMany(6_000, "batch");
  await expect(world.accept(...batch)).rejects.toMatchObject({ code: "expansion_backlog" });
  expect(await query("select from expansions")).toHaveLength(0);
  expect((await world.accept(...batch.slice(0, 500)))[0]).toMatchObject({ deliveries: 1_000, expanding: true });
});

test("each expansion counts with its own deliveries, and not with those of the new event", async () => {
  await world.subscribeMany(2_000, "mixed");
  await backlog("mixed", 6_000, 2);
  expect(await world.accept({ tenant: "mixed" })).toMatchObject([{ expanding: true }]);
});

test("the backlog of a tenant is what it has itself", async () => {
  await world.subscribeMany(2_000, "a");
  await backlog("b", 6_000);
  expect(await world.accept({ tenant: "a" }, { tenant: "a" })).toMatchObject([
    { expanding: true },
    { expanding: true },
  ]);
});

test("an expansion is stored with an estimate of its matches, each pattern counted", async () => {
  const ids = await world.subscribeMany(1_500, "estimated");
  await query(
    "insert into subscription_patterns (tenant, pattern, subscription_id) select 'estimated', 'order.*', unnest($1::uuid[])",
    ids.slice(0, 100),
  );
  await world.accept({ tenant: "estimated" }, { tenant: "estimated", type: "other" }, { tenant: "estimated" });
  expect(await query("select written, matches from expansions order by event_id")).toEqual(
    [1_600, 1_500, 1_600].map((matches) => ({ written: 1_000, matches })),
  );
});
