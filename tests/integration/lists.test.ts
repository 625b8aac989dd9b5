import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fromPublicId, toPublicId } from "@postrider/shared/core/ids/id.ts";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { MAX_WALKED, READ_PLANS } from "@postrider/shared/store/bounded-list.ts";
import { createPool, type Pool } from "@postrider/shared/store/pool.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { listDeliveries } from "../../apps/ingest/src/deliveries/list.ts";
import type { DeliveryFilter } from "../../apps/ingest/src/deliveries/input.ts";
import { OPERATOR } from "../../apps/ingest/src/http/caller.ts";
import { pagingOf, toPage } from "../../apps/ingest/src/http/page.ts";
import { listEventRows } from "@postrider/shared/store/sql/list-events.ts";
import { listSubscriptionRows } from "@postrider/shared/store/sql/list-subscriptions.ts";

/** Of the tenant whose rows are in the way. */
const OTHERS = 25_000;
/** Beside the entries of the walk: some per partition, and the ones of the rows on the page. */
const MARGIN = 500;
const DAYS = 4;

let world: World;
let reads: Pool;
let ours: string;
let theirs: string;
beforeAll(async () => {
  world = await createTestWorld();
  const { pool } = world.context;
  reads = createPool(world.settings.databaseUrl, "test-reads", 1, createLogger("test", "silent"), READ_PLANS);
  // Every statement is planned now, while the tables are empty.
  for (const order of ["desc", "asc"] as const) {
    for (const filter of FILTERS) await listDeliveries(reads, OPERATOR, { limit: 1, order, ...filter() });
  }
  await listEvents({});
  await listSubscriptions({});
  ours = await world.subscribe({ tenant: "ours" });
  theirs = await world.subscribe({ tenant: "theirs" });
  // The partitions of yesterday and of days ahead are there. Ours are the oldest and the newest of all.
  await insert(pool, { tenant: "ours", subscription: ours, count: 20, state: "dead", fromDay: -1, days: 0.001 });
  await insert(pool, { tenant: "theirs", subscription: theirs, count: OTHERS, state: "cancelled", fromDay: -0.9, days: DAYS }); // prettier-ignore
  await insert(pool, { tenant: "ours", subscription: ours, count: 20, state: "cancelled", fromDay: DAYS, days: 0.001 });
  await pool.query("insert into subscriptions select (overlay(gen_random_uuid()::text placing '01' from 1))::uuid, 'theirs', url, event_types, description, secrets, headers, rate_limit, max_in_flight, timeout_ms, retry_schedule, metadata, status from subscriptions, generate_series(1, 15000) where id = $1", [theirs]); // prettier-ignore
});
afterAll(async () => {
  await reads.end();
  await world.close();
});

const FILTERS: readonly (() => Partial<DeliveryFilter>)[] = [
  () => ({}),
  () => ({ tenant: "ours" }),
  () => ({ tenant: "theirs", status: "dead" }),
  () => ({ tenant: "theirs", status: "held" }),
  () => ({ status: "dead" }),
  () => ({ status: "retrying" }),
  () => ({ subscription: theirs, status: "retrying" }),
  () => ({ subscription: ours, status: "dead" }),
  () => ({ subscription: theirs, tenant: "ours" }),
  () => ({ subscription: ours, since: Date.now() - 3_600_000 }),
  () => ({ tenant: "theirs", since: Date.now() - 3_600_000, until: Date.now() + 3_600_000, status: "pending" }),
];

/** Rows that are evenly spread over days from `fromDay` on, counted from today's midnight UTC. */
async function insert(
  pool: Pool,
  row: { tenant: string; subscription: string; count: number; state: string; fromDay: number; days: number },
): Promise<void> {
  const day = 86_400_000;
  const midnight = Date.now() - (Date.now() % day);
  await pool.query(
    `with numbered as (
       select $6::float8 + n * $7::float8 / $3 as ms, md5($1 || n::text || $6::text) as random from generate_series(0, $3 - 1) n
     ), ids as materialized (
       select (lpad(to_hex(ms::bigint), 12, '0') || '7' || left(random, 3) || '8' || right(random, 15))::uuid as id
       from numbered
     ), event as (
       insert into events (id, tenant, type, body, delivery_count) select id, $1, 'a.' || $4, '{}', 1 from ids
     )
     insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, dead_reason, settled_at)
     select id, id, $2, $1, 'a', $4, case when $4 = 'dead' then $5 end, now() from ids`,
    [row.tenant, row.subscription, row.count, row.state, "gone", midnight + row.fromDay * day, row.days * day],
  );
}

async function entriesRead(): Promise<number> {
  await reads.query("select pg_stat_force_next_flush()");
  const { rows } = await reads.query<{ read: number }>(
    `select coalesce(sum(idx_tup_read), 0)::int + (select sum(seq_tup_read)::int from pg_stat_user_tables) as read
     from pg_stat_user_indexes`,
  );
  return rows[0]!.read;
}

/** Walks a list to its end. @returns its ids, and the most entries that a call read */
async function walk(list: (cursor?: string) => Promise<{ data: { id: string }[]; nextCursor: string | null }>) {
  const pages: string[][] = [];
  let most = 0;
  for (let cursor: string | null | undefined = undefined; cursor !== null;) {
    const before = await entriesRead();
    const page = await list(cursor);
    most = Math.max(most, (await entriesRead()) - before);
    pages.push(page.data.map(({ id }) => id));
    cursor = page.nextCursor;
  }
  return { ids: pages.flat(), most, empty: pages.slice(0, -1).filter((ids) => ids.length === 0).length };
}

const uuid = (kind: "dlv" | "evt" | "sub", cursor: string | undefined) =>
  cursor === undefined ? undefined : fromPublicId(kind, cursor);

const listEvents = async (filter: { tenant?: string; type?: string }, cursor?: string, limit = 200) =>
  toPage(
    await listEventRows(reads, pagingOf({ limit, cursor: uuid("evt", cursor) }), {
      tenant: filter.tenant ?? null,
      type: filter.type ?? null,
    }),
    limit,
    ({ id }) => ({ id }),
    ({ id }) => toPublicId("evt", id),
  );

const listSubscriptions = async (filter: { tenant?: string; status?: "paused" }, cursor?: string, limit = 200) =>
  toPage(
    await listSubscriptionRows(reads, pagingOf({ limit, cursor: uuid("sub", cursor) }), {
      tenant: filter.tenant ?? null,
      status: filter.status ?? null,
    }),
    limit,
    ({ id }) => ({ id }),
    ({ id }) => toPublicId("sub", id),
  );

describe("a list call reads a bounded number of index entries, and the next one goes on", () => {
  test.each(FILTERS.map((filter) => [filter]))("deliveries by %s", async (filter) => {
    const given = filter();
    const { ids, most } = await walk((cursor) =>
      listDeliveries(reads, OPERATOR, { limit: 200, ...given, cursor: uuid("dlv", cursor) }),
    );
    expect(most).toBeLessThan(MAX_WALKED + MARGIN);
    const { rows } = await world.context.pool.query<{ id: string }>(
      `select id from deliveries where ($1::text is null or tenant = $1) and ($2::uuid is null or subscription_id = $2)
         and ($3::text is null or state = $3)
         and ($4::float8 is null or id >= (lpad(to_hex($4::bigint), 12, '0') || repeat('0', 20))::uuid)
         and ($5::float8 is null or id < (lpad(to_hex($5::bigint), 12, '0') || repeat('0', 20))::uuid)
       order by id desc`,
      [given.tenant, given.subscription, given.status, given.since, given.until],
    );
    expect(ids).toEqual(rows.map(({ id }) => toPublicId("dlv", id)));
  });

  test.each([[{}], [{ tenant: "ours" }], [{ type: "a.dead" }], [{ tenant: "theirs", type: "a.dead" }]])(
    "events by %o",
    async (filter: { tenant?: string; type?: string }) => {
      const { ids, most } = await walk((cursor) => listEvents(filter, cursor));
      expect(most).toBeLessThan(MAX_WALKED + MARGIN);
      const { rows } = await world.context.pool.query<{ id: string }>(
        "select id from events where ($1::text is null or tenant = $1) and ($2::text is null or type = $2) order by id desc",
        [filter.tenant, filter.type],
      );
      expect(ids).toEqual(rows.map(({ id }) => id));
    },
  );

  test.each([[{ tenant: "ours" }], [{ status: "paused" as const }], [{ tenant: "theirs", status: "paused" as const }]])(
    "subscriptions by %o",
    async (filter: { tenant?: string; status?: "paused" }) => {
      const { ids, most } = await walk((cursor) => listSubscriptions(filter, cursor));
      expect(most).toBeLessThan(MAX_WALKED + MARGIN);
      expect(ids).toEqual(filter.tenant === "ours" ? [ours] : []);
    },
  );
});

test.each(FILTERS.map((filter) => [filter]))(
  "deliveries by %s, oldest first, are the same in reverse",
  async (filter) => {
    const given = filter();
    const inOrder = async (order: "asc" | "desc") =>
      walk((cursor) => listDeliveries(reads, OPERATOR, { limit: 200, ...given, order, cursor: uuid("dlv", cursor) }));
    const { ids, most } = await inOrder("asc");
    expect(most).toBeLessThan(MAX_WALKED + MARGIN);
    expect(ids).toEqual((await inOrder("desc")).ids.toReversed());
  },
);

test("a page is empty and has a cursor where the walk found nothing yet", async () => {
  const { ids, empty } = await walk((cursor) => listEvents({ type: "a.dead" }, cursor));
  expect(ids).toHaveLength(20);
  expect(empty).toBeGreaterThan(0);
});

test("a small tenant's page costs the rows on it, however many others have", async () => {
  const before = await entriesRead();
  const page = await listDeliveries(reads, { tenant: "ours", scopes: new Set(["read"]) }, { limit: 50 });
  expect(page.data).toHaveLength(40);
  expect((await entriesRead()) - before).toBeLessThan(MARGIN);
});

test("a list of another tenant's subscription, tenant or event has no cursor", async () => {
  const caller = { tenant: "ours", scopes: new Set(["read"]) };
  const nothing = { data: [], nextCursor: null };
  const event = (await listEvents({ tenant: "theirs" })).data[0]!.id;
  for (const filter of [{ subscription: theirs }, { tenant: "theirs" }, { event }, { subscription: theirs, event }]) {
    expect(await listDeliveries(reads, caller, { limit: 1, ...filter })).toEqual(nothing);
  }
});
