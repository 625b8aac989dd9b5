import { afterAll, beforeAll, expect, test } from "vitest";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { MAX_WALKED, READ_PLANS } from "@postrider/shared/store/bounded-list.ts";
import { createPool, type Pool } from "@postrider/shared/store/pool.ts";
import { listEventRows } from "@postrider/shared/store/sql/list-events.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { pagingOf, toPage } from "../../apps/ingest/src/http/page.ts";

/** The oldest events are in the way of nothing that a tenth of a walk finds. */
const EVENTS = MAX_WALKED / 2;

let world: World;
let reads: Pool;
beforeAll(async () => {
  world = await createTestWorld();
  await world.context.pool.query(
    `insert into events (id, tenant, type, body, delivery_count)
     select (lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '7000' || '8' || lpad(to_hex(n), 15, '0'))::uuid,
       'default', 'a', '{}', 0 from generate_series(1, ${EVENTS}) n`,
  );
  // Reading the oldest event takes a minute.
  await world.context.pool.query(
    `create schema slow;
     create view slow.events as select * from public.events
     where case when right(id::text, 12) = lpad('1', 12, '0') then pg_sleep(60) is not null else true end`,
  );
  const plans = `${READ_PLANS} -c search_path=slow,public`;
  reads = createPool(world.settings.databaseUrl, "test-reads", 1, createLogger("test", "silent"), plans, 3_000);
});
afterAll(async () => {
  await reads?.end();
  await world.close();
});

test("a list whose walk takes too long goes on with a shorter one", async () => {
  const rows = await listEventRows(reads, pagingOf({ limit: 200 }), { tenant: null, type: "none" });
  const { data, nextCursor } = toPage(
    rows,
    200,
    ({ id }) => id,
    ({ id }) => id,
  );
  expect(data).toEqual([]);
  const { rows: newest } = await world.context.pool.query<{ id: string }>(
    "select id from events order by id desc offset $1 limit 1",
    [MAX_WALKED / 10 - 1],
  );
  expect(nextCursor).toBe(newest[0]!.id);
});
