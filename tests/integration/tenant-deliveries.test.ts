import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { fromPublicId } from "@postrider/shared/core/ids/id.ts";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { MAX_WALKED, READ_PLANS } from "@postrider/shared/store/bounded-list.ts";
import { createPool, type Pool } from "@postrider/shared/store/pool.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { listDeliveries } from "../../apps/ingest/src/deliveries/list.ts";
import type { DeliveryFilter } from "../../apps/ingest/src/deliveries/input.ts";
import { OPERATOR } from "../../apps/ingest/src/http/caller.ts";

let world: World;
let reads: Pool;
beforeAll(async () => {
  world = await createTestWorld();
  reads = createPool(world.settings.databaseUrl, "test-reads", 1, createLogger("test", "silent"), READ_PLANS);
});
afterAll(async () => {
  await reads.end();
  await world.close();
});
beforeEach(() => world.empty());

const query = (sql: string, ...values: unknown[]) => world.context.pool.query(sql, values);

/** The list, page by page. */
async function pages(filter: Partial<DeliveryFilter>): Promise<string[][]> {
  const all: string[][] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const given = cursor === undefined ? {} : { cursor: fromPublicId("dlv", cursor)! };
    const page: { data: { id: string }[]; nextCursor: string | null } = await listDeliveries(reads, OPERATOR, {
      limit: 2,
      tenant: "a",
      ...filter,
      ...given,
    });
    all.push(page.data.map(({ id }) => fromPublicId("dlv", id)!));
    cursor = page.nextCursor;
  }
  return all;
}

/** Events whose ids share their first 8 bytes, as two processes make them in one millisecond, and their deliveries. */
async function insertFamily(stem: string, tenants: readonly string[]): Promise<void> {
  for (const [n, tenant] of tenants.entries()) {
    const event = `${stem}-800${n}-000000000000`;
    await query(
      "insert into events (id, tenant, type, body, delivery_count) values ($1, $2, 'a', '{}', 3)",
      event,
      tenant,
    );
    await query(
      `insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, settled_at)
       select delivery_id($1, s), $1, s, $2, 'a', 'delivered', now() from (select gen_random_uuid() s from generate_series(1, 3)) made`,
      event,
      tenant,
    );
  }
}

const stem = (ms: number) => {
  const hex = ms.toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000`;
};

test("events of one family and of two tenants are listed once each, in both orders", async () => {
  const now = Date.now();
  await insertFamily(stem(now), ["a", "b", "a", "a"]);
  await insertFamily(stem(now + 1), ["a"]);
  await insertFamily(stem(now + 2), ["b"]);
  const { rows } = await query("select id from deliveries where tenant = 'a' order by id desc");
  const expected = rows.map(({ id }) => id as string);
  expect(expected).toHaveLength(12);
  const listed = await pages({});
  expect(listed.flat()).toEqual(expected);
  expect(listed).toHaveLength(6);
  expect((await pages({ order: "asc" })).flat()).toEqual(expected.toReversed());
  const { from, to } = { from: now + 1, to: now + 2 };
  expect((await pages({ since: from, until: to })).flat()).toEqual(expected.slice(0, 3));
});

test.each(["desc", "asc"] as const)("a walk over events without deliveries goes on (%s)", async (order) => {
  const now = Date.now();
  await query(
    `insert into events (id, tenant, type, body, delivery_count)
     select (lpad(to_hex($1::bigint + n), 12, '0') || '7000' || '8000000000000000')::uuid, 'a', 'a', '{}', 0
     from generate_series(1, ${MAX_WALKED}) n`,
    now,
  );
  await insertFamily(stem(now), ["a"]);
  await insertFamily(stem(now + MAX_WALKED + 1), ["a"]);
  const listed = await pages({ order });
  expect(listed.flat()).toHaveLength(6);
  expect(new Set(listed.flat()).size).toBe(6);
  // A call walks half of MAX_WALKED, since each event may have a delivery.
  expect(listed.filter((page) => page.length === 0).length).toBeGreaterThan(0);
});
