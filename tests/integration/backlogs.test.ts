import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { TenantBacklogs } from "../../apps/ingest/src/events/backlog.ts";
import { foldHeldChanges } from "../../apps/worker/src/upkeep/fold-held-changes.ts";

let world: World;
beforeAll(async () => {
  world = await createTestWorld();
});
afterAll(() => world.close());

const ADVANCE: Record<string, string> = {
  retrying: "state = 'retrying', batch_id = null, next_attempt_at = now() + random() * interval '1 hour'",
  held: "state = 'held', batch_id = null, held_at = now(), held_reason = 'breaker'",
  delivered: "state = 'delivered', batch_id = null, settled_at = now()",
};

/** Makes deliveries of a tenant, so many in each state. */
async function make(tenant: string, states: Record<string, number>): Promise<void> {
  await world.subscribe({ tenant });
  for (const [state, count] of Object.entries(states)) {
    await world.accept(...Array.from({ length: count }, () => ({ tenant, type: `order.${state}` })));
    if (!ADVANCE[state]) continue;
    const change = `update deliveries set ${ADVANCE[state]} where tenant = $1 and event_type = $2`;
    await world.context.pool.query(change, [tenant, `order.${state}`]);
  }
  await foldHeldChanges(world.context.pool);
}

const isFull = (backlogs: TenantBacklogs, tenant: string): boolean => {
  try {
    backlogs.check([{ tenant: "another" }, { tenant }]);
    return false;
  } catch {
    return true;
  }
};

test("a count adds up the pending, retrying and held deliveries of each tenant, over all pages", async () => {
  await make("many", { pending: 250, retrying: 30, held: 20, delivered: 100 });
  await make("few", { pending: 3, retrying: 3, held: 4, delivered: 500 });
  for (const [max, full] of [
    [10, ["many", "few"]],
    [11, ["many"]],
    [300, ["many"]],
    [301, []],
  ] as const) {
    const backlogs = new TenantBacklogs(max, world.context.pool, () => undefined);
    expect(isFull(backlogs, "many")).toBe(false);
    await backlogs.count(7);
    expect(["many", "few"].filter((tenant) => isFull(backlogs, tenant))).toEqual(full);
  }
});

test("a count uses one connection at a time, however many tenants post", async () => {
  const { pool } = world.context;
  const backlogs = new TenantBacklogs(1, pool, () => undefined);
  const before = pool.totalCount;
  const counting = backlogs.count(7);
  for (let n = 0; n < 400; n += 1) isFull(backlogs, `tenant-${n}`);
  expect(pool.totalCount - pool.idleCount + pool.waitingCount).toBeLessThanOrEqual(1);
  backlogs.close();
  await counting;
  expect(pool.totalCount).toBeLessThanOrEqual(before + 1);
});
