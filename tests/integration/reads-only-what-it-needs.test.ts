import { afterAll, beforeAll, expect, test } from "vitest";
import { familyRange } from "@postrider/shared/core/ids/id-range.ts";
import { countPendingPage } from "@postrider/shared/store/sql/count-pending-page.ts";
import { countRetryingPage } from "@postrider/shared/store/sql/count-retrying-page.ts";
import { loadBatchesRows } from "@postrider/shared/store/sql/load-batches.ts";
import { loadDeliveriesByIds } from "@postrider/shared/store/sql/load-deliveries-by-ids.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { READ_PLANS } from "@postrider/shared/store/bounded-list.ts";
import { createPool } from "@postrider/shared/store/pool.ts";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { cancelUnfinished } from "../../apps/worker/src/release/cancel-unfinished.ts";
import { expireHeld } from "../../apps/worker/src/upkeep/expire-held.ts";
import { releaseLongestHeld } from "../../apps/worker/src/release/release-longest-held.ts";
import { flushStatistics } from "./flush-statistics.ts";

const BETWEEN = 3_000;
/** A lookup reads one or two index entries per row and index; a scan over the rows in between reads thousands. */
const FEW = 200;

let world: World;
beforeAll(async () => {
  world = await createTestWorld({ HOLD_LIMIT: "1s", BREAKER_COOLDOWN: "500ms" });
  // One connection, whose plans are all made now, while the tables are empty: that is what a worker does when it
  // starts.
  await world.subscribe({ tenant: "busy" });
  await exercise();
  await world.subscribe();
});
afterAll(() => world.close());

/** Events of `default`, the oldest and the newest of all, with thousands of others' in between. */
async function spread() {
  await world.accept({});
  for (let made = 0; made < BETWEEN; made += 1_000) {
    await world.accept(...Array.from({ length: 1_000 }, () => ({ tenant: "busy" })));
  }
  await world.accept({});
  const rows = (await world.load()).filter(({ tenant, state }) => tenant === "default" && state === "pending");
  return rows.slice(-2);
}

const lease = { signal: new AbortController().signal, isHeld: () => true };
const held = (where: string) =>
  world.context.pool.query(`update deliveries set state = 'held', held_reason = 'breaker', held_at = now(), batch_id = null where ${where}`); // prettier-ignore

/** Opens the breaker of a subscription. */
async function shut(subscriptionId: string): Promise<void> {
  const outcome = { kind: "retryable", retryAfterMs: undefined } as const;
  for (let failed = 0; failed < world.settings.breaker.threshold; failed += 1) {
    await world.context.breakerReports.report({
      subscriptionId,
      deliveryId: newId(),
      trigger: "auto",
      sentAt: performance.now(),
      outcome,
      lastSuccessAt: null,
      responseStatus: 500,
      isWaiting: false,
    });
  }
}

/** Runs each statement once where there is nothing to do, on every connection. */
async function exercise() {
  const id = newId();
  const { context } = world;
  for (let connection = 0; connection < 10; connection += 1) {
    await Promise.all([
      loadBatchesRows(context.pool, [id], { from: id, to: id }),
      loadDeliveriesByIds(context.pool, [id]),
      releaseLongestHeld(context, id, 10, 10),
      expireHeld(context),
      cancelUnfinished(context, id, lease),
      shut(id).then(() => context.loadBatch({ id, size: 1, from: id, to: id })),
    ]);
  }
}

/**
 * Index entries that Postgres has read for the deliveries and events so far, once every connection has reported its
 * counts.
 */
async function entriesRead(): Promise<number> {
  const { pool } = world.context;
  for (let before = -1; ;) {
    await flushStatistics(pool);
    const { rows } = await pool.query<{ read: number }>(
      `select coalesce(sum(idx_tup_read), 0)::int as read from pg_stat_user_indexes
       where relname like 'deliveries%' or relname like 'events%'`,
    );
    if (rows[0]!.read === before) return before;
    before = rows[0]!.read;
  }
}

async function readBy(work: () => Promise<unknown>): Promise<number> {
  const before = await entriesRead();
  await work();
  return (await entriesRead()) - before;
}

test("recording deliveries that lie far apart reads only their index entries", async () => {
  const rows = await spread();
  const outcome = { transition: { state: "delivered" }, attempt: undefined, scheduleStep: 1, lastError: null } as const;
  const entries = await readBy(() =>
    Promise.all(rows.map((delivery) => world.context.recorder.record({ ...outcome, delivery }))),
  );
  expect(entries).toBeLessThan(FEW);
});

test("loading deliveries that lie far apart, as a batch or by id, reads only their index entries", async () => {
  const rows = await spread();
  const ids = rows.map(({ id }) => id);
  const batch = newId();
  await world.context.pool.query("update deliveries set batch_id = $1 where id = any ($2::uuid[])", [batch, ids]);
  expect(await readBy(() => loadBatchesRows(world.context.pool, [batch], familyRange(ids)))).toBeLessThan(FEW);
  expect(await readBy(() => loadDeliveriesByIds(world.context.pool, ids))).toBeLessThan(FEW);
});

test("holding, releasing and cancelling a few of thousands of held deliveries reads only their index entries", async () => {
  await spread();
  await held("state = 'pending'");
  const { context } = world;
  const [own] = (await world.load()).filter(({ tenant }) => tenant === "default");
  const subscription = own!.subscriptionId;
  let released: string[] = [];
  expect(await readBy(async () => (released = await releaseLongestHeld(context, subscription, 2, 2)))).toBeLessThan(
    FEW,
  );
  expect(released).toHaveLength(2);
  await shut(subscription);
  expect([...context.breakerReports.recentlyOpened()]).toContain(subscription);
  // As if they had just been accepted: what was released is not held back.
  const fresh = `${newId().slice(0, 28)}00000000`;
  await context.pool.query("update deliveries set batch_id = $1, held_at = null where id = any ($2::uuid[])", [
    fresh,
    released,
  ]);
  expect(await readBy(() => context.loadBatch({ id: fresh, size: 2, ...familyRange(released) }))).toBeLessThan(FEW);
  expect((await world.rows()).filter(({ id }) => released.includes(id)).map(({ state }) => state)).toEqual(["held", "held"]); // prettier-ignore
  expect(await readBy(() => cancelUnfinished(context, subscription, lease))).toBeLessThan(FEW);
});

test("counting a page of the unfinished deliveries reads no more of them than the page, and none that are finished", async () => {
  const { pool } = world.context;
  const reads = createPool(world.settings.databaseUrl, "test-reads", 1, createLogger("test", "silent"), READ_PLANS);
  await spread();
  // Index entries of earlier states are read once.
  await pool.query("vacuum deliveries");
  const count = async () => {
    const rows = [
      ...(await countPendingPage(reads, undefined, 50)),
      ...(await countRetryingPage(reads, undefined, 50)),
    ];
    await reads.query("select pg_stat_force_next_flush()");
    return rows.reduce((sum, { deliveries }) => sum + deliveries, 0);
  };
  // The batch at the end of the page is counted as a whole.
  expect(await readBy(async () => expect(await count()).toBeGreaterThanOrEqual(50))).toBeLessThan(3 * FEW);
  await pool.query("update deliveries set state = 'cancelled', settled_at = now(), batch_id = null, held_reason = null, held_at = null, next_attempt_at = null"); // prettier-ignore
  await pool.query("vacuum deliveries");
  expect(await readBy(async () => expect(await count()).toBe(0))).toBeLessThan(FEW);
  await reads.end();
});
