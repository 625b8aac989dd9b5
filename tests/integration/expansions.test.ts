import { createHash } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { priorityOfBatch } from "@postrider/shared/core/ids/batch-id.ts";
import { family, firstIdAt } from "@postrider/shared/core/ids/id-range.ts";
import type { Batch } from "@postrider/shared/queue/jobs.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { writeExpansionPage, type ExpansionPage } from "@postrider/shared/store/sql/write-expansion-page.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";

let world: World;
beforeAll(async () => {
  world = await createTestWorld();
});
afterAll(() => world.close());
beforeEach(() => world.empty());

const query = async <Row extends object>(text: string, ...values: unknown[]): Promise<Row[]> =>
  (await world.context.pool.query<Row>(text, values)).rows;

/** Writes pages until none of the tenant's events is unfinished. */
async function expandAll(tenant = "default"): Promise<ExpansionPage[]> {
  const pages: ExpansionPage[] = [];
  for (;;) {
    const page = await writeExpansionPage(world.context.pool, tenant, newId());
    if (page.events === 0) return pages;
    pages.push(page);
  }
}

/** Of each event: its deliveries, its subscriptions, and the number that the API shows. */
const counts = () =>
  query<{ deliveries: number; subscriptions: number; shown: number }>(
    `select count(d.id)::int as deliveries, count(distinct d.subscription_id)::int as subscriptions, e.delivery_count as shown
     from events e left join deliveries d on d.event_id = e.id group by e.id order by e.id`,
  );

/** Checks that each batch has its rows in its range. */
async function expectBatches(batches: readonly Batch[]): Promise<void> {
  const made = await query<{ batch: string; size: number; from: string; to: string }>(
    `select batch_id as batch, count(*)::int as size, min(id::text) as "from", max(id::text) as "to"
     from deliveries group by batch_id`,
  );
  expect(made.map(({ batch }) => batch).sort()).toEqual(batches.map(({ id }) => id).sort());
  for (const { id, size, from, to } of batches) {
    const own = made.find(({ batch }) => batch === id)!;
    expect(own.size).toBe(size);
    expect(from <= own.from && own.to <= to).toBe(true);
    expect(size).toBeLessThanOrEqual(100);
  }
}

test("a large fan-out is written in pages after the answer, in full and once per subscription, behind everybody else's", async () => {
  const subscriptions = await world.subscribeMany(2_600);
  const [accepted] = await world.accept({});
  expect(accepted).toMatchObject({ kind: "accepted", deliveries: 1_000, expanding: true });
  expect(await counts()).toEqual([{ deliveries: 1_000, subscriptions: 1_000, shown: 1_000 }]);
  const pages = await expandAll();
  expect(pages.map(({ written }) => written)).toEqual([1_000, 600]);
  expect(await counts()).toEqual([{ deliveries: 2_600, subscriptions: subscriptions.length, shown: 2_600 }]);
  const later = pages.flatMap(({ batches }) => batches);
  await expectBatches([...world.batches, ...later]);
  expect(later.every(({ id }) => priorityOfBatch(id) > 0)).toBe(true);
});

test("a fan-out of exactly what one statement writes is no expansion", async () => {
  await world.subscribeMany(1_000);
  expect(await world.accept({})).toMatchObject([{ deliveries: 1_000, expanding: false }]);
  expect(await query("select from expansions")).toHaveLength(0);
});

test("a batch writes 5,000 deliveries at most, its other events expand, and a neighbour's event of the same moment does not", async () => {
  await world.subscribeMany(450, "first");
  await world.subscribe({ tenant: "neighbour" });
  // A tenant whose fan-outs are not known yet, so that both requests share the first flush, which is refused.
  const batch = world.accept(...Array.from({ length: 50 }, () => ({ tenant: "first" })));
  const neighbour = world.accept({ tenant: "neighbour" });
  expect(await neighbour).toMatchObject([{ deliveries: 1, expanding: false }]);
  const answers = (await batch) as { deliveries: number; expanding: boolean }[];
  expect(answers.reduce((sum, { deliveries }) => sum + deliveries, 0)).toBe(5_000);
  for (const { deliveries, expanding } of answers) expect(expanding).toBe(deliveries < 450);
  // The answers are in the order of the events.
  expect(answers.map(({ deliveries }) => deliveries)).toEqual(
    (await counts()).filter((_, index) => index < 50).map(({ shown }) => shown),
  );
  const pages = await expandAll("first");
  const all = (await counts()).filter(({ shown }) => shown > 1);
  expect(all).toEqual(Array.from({ length: 50 }, () => ({ deliveries: 450, subscriptions: 450, shown: 450 })));
  await expectBatches([...world.batches, ...pages.flatMap(({ batches }) => batches)]);
  // Small expansions share a page.
  expect(pages.length).toBeLessThanOrEqual(20);
});

test("many events with few deliveries each share the 5,000 of a statement with a neighbour's", async () => {
  await world.subscribeMany(150, "second");
  await world.subscribe({ tenant: "neighbour" });
  const batch = world.accept(...Array.from({ length: 50 }, () => ({ tenant: "second" })));
  const neighbour = world.accept({ tenant: "neighbour" });
  expect(await neighbour).toMatchObject([{ deliveries: 1, expanding: false }]);
  const answers = (await batch) as { deliveries: number; expanding: boolean }[];
  expect(answers.reduce((sum, { deliveries }) => sum + deliveries, 0)).toBe(4_999);
  await expandAll("second");
  const all = (await counts()).filter(({ shown }) => shown > 1);
  expect(all).toEqual(Array.from({ length: 50 }, () => ({ deliveries: 150, subscriptions: 150, shown: 150 })));
});

test("tenants take turns in a statement: many single events for many subscriptions leave deliveries for a neighbour's", async () => {
  await world.subscribeMany(2_000, "flood");
  await world.subscribe({ tenant: "neighbour" });
  const flood = Array.from({ length: 30 }, () => world.accept({ tenant: "flood", type: "first.time" }));
  const neighbour = [1, 2, 3].map(() => world.accept({ tenant: "neighbour" }));
  for (const answer of await Promise.all(neighbour))
    expect(answer).toMatchObject([{ deliveries: 1, expanding: false }]);
  await Promise.all(flood);
});

test("an event that has nothing yet and few matches is written before larger ones", async () => {
  await world.subscribeMany(1_500);
  await query("update subscription_patterns set pattern = 'large' where tenant = 'default'");
  await world.subscribe({ eventTypes: ["few"] });
  const large = Array.from({ length: 20 }, () => ({ type: "large" }));
  const answers = await world.accept(...large, { type: "few" });
  expect(answers.at(-1)).toMatchObject({ deliveries: 0, expanding: true });
  await writeExpansionPage(world.context.pool, "default", newId());
  expect(await query("select from deliveries where event_type = 'few'")).toHaveLength(1);
  expect(await query("select from expansions where event_type = 'few'")).toHaveLength(0);
});

test("a page judges subscriptions as they stand: deleted ones and later ones are left out, paused ones are not", async () => {
  const ids = await world.subscribeMany(1_200);
  await world.accept({});
  const [deleted, edited, paused] = ids.slice(-3);
  await world.subscribeMany(300);
  await query("delete from subscription_patterns where subscription_id = $1", deleted);
  await query("update subscription_patterns set pattern = 'invoice.*' where subscription_id = $1", edited);
  await query("update subscriptions set status = 'paused' where id = $1", paused);
  await expandAll();
  const made = await query<{ id: string }>("select subscription_id as id from deliveries");
  expect(made.map(({ id }) => id).sort()).toEqual(ids.filter((id) => id !== deleted && id !== edited));
  expect(await counts()).toMatchObject([{ deliveries: 1_198, shown: 1_198 }]);
});

test("a repeat by idempotency key shows how many are written so far, and in the end all", async () => {
  await world.subscribeMany(2_200);
  const event = { idempotencyKey: "k" };
  const [first] = await world.accept(event);
  expect(await world.accept(event)).toEqual([{ ...first, duplicate: true }]);
  await writeExpansionPage(world.context.pool, "default", newId());
  expect(await world.accept(event)).toEqual([{ ...first, duplicate: true, deliveries: 2_000 }]);
  await expandAll();
  expect(await world.accept(event)).toEqual([{ ...first, duplicate: true, deliveries: 2_200, expanding: false }]);
  expect(await counts()).toHaveLength(1);
});

test("several workers that write one tenant's pages at once make each delivery once, and count it once", async () => {
  await world.subscribeMany(3_300);
  await world.accept({}, {});
  const written = await Promise.all(Array.from({ length: 4 }, () => expandAll()));
  expect(written.flat(1).reduce((sum, page) => sum + page.written, 0)).toBe(2 * 2_300);
  expect(await counts()).toEqual([1, 2].map(() => ({ deliveries: 3_300, subscriptions: 3_300, shown: 3_300 })));
});

/** Like the function delivery_id in Postgres. */
function deliveryId(event: string, subscription: string): string {
  const bytes = Buffer.from((event + subscription).replaceAll("-", ""), "hex");
  const hash = createHash("sha256").update(bytes).digest("hex");
  return `${event.slice(0, 18)}-8${hash.slice(0, 3)}-${hash.slice(3, 15)}`;
}

test("a delivery's id is a function of event and subscription: a UUIDv7 among the ids of its event", async () => {
  const id = fc
    .tuple(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.uuid())
    .map(([ms, uuid]) => `${firstIdAt(ms).slice(0, 14)}7${uuid.slice(15)}`);
  const pairs = fc.sample(fc.tuple(id, id), 1_000);
  const made = await query<{ id: string }>(
    "select delivery_id(e, s) as id from unnest($1::uuid[], $2::uuid[]) with ordinality as t (e, s, n) order by n",
    pairs.map(([event]) => event),
    pairs.map(([, subscription]) => subscription),
  );
  expect(made.map((row) => row.id)).toEqual(pairs.map(([event, subscription]) => deliveryId(event, subscription)));
  for (const [index, { id: delivery }] of made.entries()) {
    const { from, to } = family(pairs[index]![0]);
    expect(delivery).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(from <= delivery && delivery <= to).toBe(true);
  }
});

test("accepting and expanding make ids by that function", async () => {
  await world.subscribeMany(1_100);
  await world.accept({});
  await expandAll();
  expect(await query("select from deliveries where id <> delivery_id(event_id, subscription_id)")).toHaveLength(0);
  expect(await query("select from deliveries")).toHaveLength(1_100);
});

test("a subscription that several patterns match has one delivery, in a small and in a large fan-out", async () => {
  const several = ["*", "order.*", "order.created"];
  for (const count of [3, 700, 1_300]) {
    const tenant = `t${count}`;
    const ids = await world.subscribeMany(count, tenant);
    await query(
      "insert into subscription_patterns (tenant, pattern, subscription_id) select $1, p, s from unnest($2::text[]) p, unnest($3::uuid[]) s on conflict do nothing",
      tenant,
      several,
      ids,
    );
    const written = Math.min(count, 1_000);
    expect(await world.accept({ tenant })).toMatchObject([{ deliveries: written, expanding: written < count }]);
    await expandAll(tenant);
    expect((await counts()).at(-1)).toEqual({ deliveries: count, subscriptions: count, shown: count });
  }
});
