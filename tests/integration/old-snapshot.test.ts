import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { countHeldByReason } from "@postrider/shared/store/sql/count-held-by-reason.ts";
import { findStillHeld } from "@postrider/shared/store/sql/find-still-held.ts";
import { findSubscriptionsWithHeld } from "@postrider/shared/store/sql/find-subscriptions-with-held.ts";
import { hasReleasable } from "@postrider/shared/store/sql/has-releasable.ts";
import { nextToProbeWith } from "@postrider/shared/store/sql/next-to-probe-with.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { HeldReader } from "../../apps/ingest/src/subscriptions/held-reader.ts";
import type { JobLease } from "../../apps/worker/src/job/lease.ts";
import { cancelUnfinished } from "../../apps/worker/src/release/cancel-unfinished.ts";
import { HeldCursors } from "../../apps/worker/src/release/held-cursors.ts";
import { releaseLongestHeld } from "../../apps/worker/src/release/release-longest-held.ts";
import { expireHeld } from "../../apps/worker/src/upkeep/expire-held.ts";
import { foldHeldChanges } from "../../apps/worker/src/upkeep/fold-held-changes.ts";
import { flushStatistics } from "./flush-statistics.ts";

/** Held, and released while vacuum cannot remove what is left of them. */
const RELEASED = 4_000;
const ROUND = 100;
/** Pages that a statement touches for so many deliveries; walking the released ones takes many more. */
const PER_DELIVERY = 30;

let world: World;
let subscription: string;
beforeAll(async () => {
  world = await createTestWorld({ HOLD_LIMIT: "1s", BREAKER_COOLDOWN: "500ms" });
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.context.pool.query("truncate deliveries, events, attempts, subscriptions, subscription_patterns");
  subscription = await world.subscribe();
  for (let made = 0; made < RELEASED; made += 1_000) {
    await world.accept(...Array.from({ length: 1_000 }, () => ({})));
  }
});

/** As a dump does it. */
async function withOldSnapshot(work: () => Promise<void>): Promise<void> {
  const snapshot = await world.context.pool.connect();
  try {
    await snapshot.query("begin isolation level repeatable read");
    await snapshot.query("select count(*) from deliveries");
    await work();
  } finally {
    snapshot.release(true);
  }
}

const hold = (heldAt: string) =>
  world.context.pool.query(
    `update deliveries set state = 'held', held_reason = 'paused', held_at = ${heldAt}, batch_id = null`,
  );

/** Pages that Postgres has read so far. */
async function pagesRead(): Promise<number> {
  const { pool } = world.context;
  await flushStatistics(pool, pool.waitingCount + 1);
  const { rows } = await pool.query<{ read: number }>(
    "select (sum(heap_blks_hit) + sum(idx_blks_hit))::int as read from pg_statio_user_tables where relname like 'deliveries%' or relname like 'held%'",
  );
  return rows[0]!.read;
}

async function pagesOf(work: () => Promise<unknown>): Promise<number> {
  const before = await pagesRead();
  await work();
  return (await pagesRead()) - before;
}

test("releases behind an old snapshot cost the same in each round", async () => {
  await hold("now() - interval '1 hour'");
  await withOldSnapshot(async () => {
    const { context } = world;
    const cursors = new HeldCursors();
    const released = new Set<string>();
    const round = async () => {
      for (const id of await releaseLongestHeld(context, subscription, ROUND, 1, cursors.of(subscription)))
        released.add(id);
    };
    const first = await pagesOf(round);
    while (released.size < RELEASED - 2 * ROUND) await round();
    expect(await pagesOf(round)).toBeLessThan(first * 2);
    expect(
      await pagesOf(() => nextToProbeWith(context.pool, subscription, cursors.of(subscription).last)),
    ).toBeLessThan(ROUND * PER_DELIVERY);
    await round();
    await round();
    expect(released.size).toBe(RELEASED);
  });
});

test("a delivery that is held again with an earlier time is released when the cursor has come to the end", async () => {
  const ids = (await world.rows()).map(({ id }) => id);
  await hold("now()");
  const cursors = new HeldCursors();
  const release = (count: number) =>
    releaseLongestHeld(world.context, subscription, count, 1, cursors.of(subscription));
  for (let left = RELEASED - 1; left > 0; left -= 500) await release(Math.min(500, left));
  await world.context.pool.query(
    "update deliveries set state = 'held', held_reason = 'breaker', batch_id = null where id = $1",
    [ids[0]],
  );
  expect(await release(10)).not.toContain(ids[0]);
  expect(await release(10)).toEqual([ids[0]]);
});

test("expiry behind an old snapshot finds everything in one walk", async () => {
  await hold("now() - interval '1 hour'");
  await world.context.pool.query("update subscriptions set status = 'paused'");
  await withOldSnapshot(async () => {
    const expired = await pagesOf(async () => expect(await expireOld()).toBe(RELEASED));
    expect(expired).toBeLessThan(RELEASED * PER_DELIVERY);
  });
});

/** An event must be as old as the limit, too. */
async function expireOld(): Promise<number> {
  let expired = 0;
  await expect
    .poll(async () => (expired += await expireHeld(world.context)), { interval: 200 })
    .toBeGreaterThanOrEqual(RELEASED);
  return expired;
}

test("held counts behind an old snapshot do not walk what was folded", async () => {
  await withOldSnapshot(async () => {
    const { pool } = world.context;
    await countHeldByReason(pool);
    const empty = await pagesOf(() => countHeldByReason(pool));
    for (let time = 0; time < 3; time += 1) {
      await hold("now()");
      await foldHeldChanges(pool);
      await pool.query("update deliveries set state = 'pending', held_reason = null, batch_id = gen_random_uuid()");
      await foldHeldChanges(pool);
    }
    expect(await pagesOf(() => countHeldByReason(pool))).toBeLessThan(empty + 300);
  });
});

test("a subscription's state, and the search for subscriptions with held deliveries, do not walk what was released", async () => {
  await hold("now() - interval '1 hour'");
  await foldHeldChanges(world.context.pool);
  await withOldSnapshot(async () => {
    const { context } = world;
    const { pool } = context;
    const reader = new HeldReader();
    const cursors = new HeldCursors();
    const release = (count: number) => releaseLongestHeld(context, subscription, count, 1, cursors.of(subscription));
    for (let left = RELEASED - ROUND; left > 0; left -= 500) await release(Math.min(500, left));
    await foldHeldChanges(pool);
    const [held] = await reader.read(pool, [subscription]);
    expect(held).toMatchObject({ count: ROUND });
    const searches = {
      read: async () => expect(await reader.read(pool, [subscription])).toEqual([held]),
      releasable: async () => expect(await hasReleasable(pool, subscription)).toBe(true),
      stillHeld: async () => expect(await findStillHeld(pool, [subscription])).toEqual([subscription]),
      watchdog: async () =>
        expect(await findSubscriptionsWithHeld(pool, undefined, 10)).toEqual([
          { id: subscription, isReleasable: true },
        ]),
    };
    for (const [name, search] of Object.entries(searches)) expect(await pagesOf(search), name).toBeLessThan(ROUND * 10);
    await release(ROUND);
    expect(await reader.read(pool, [subscription])).toEqual([]);
    expect(await hasReleasable(pool, subscription)).toBe(false);
  });
});

test("a delivery that is held again with an earlier time is the oldest at once where nothing else is held", async () => {
  const { pool } = world.context;
  await hold("now()");
  const reader = new HeldReader();
  await reader.read(pool, [subscription]);
  const { rows } = await pool.query<{ at: Date }>(
    "update deliveries set held_at = held_at - interval '1 minute' returning held_at as at",
  );
  const [held] = await reader.read(pool, [subscription]);
  expect(held).toMatchObject({ count: RELEASED });
  await pool.query("update deliveries set state = 'pending', held_reason = null, batch_id = gen_random_uuid()");
  await pool.query(
    "update deliveries set state = 'held', held_reason = 'paused', batch_id = null where id = (select max(id::text)::uuid from deliveries)",
  );
  expect(await reader.read(pool, [subscription])).toMatchObject([{ count: 1, oldestAt: rows[0]!.at }]);
});

test("cancelling behind an old snapshot finds everything in one walk", async () => {
  await hold("now() - interval '1 hour'");
  await withOldSnapshot(async () => {
    const lease = { signal: new AbortController().signal } as JobLease;
    const cancelled = await pagesOf(() => cancelUnfinished(world.context, subscription, lease, 50));
    expect(new Set((await world.rows()).map(({ state }) => state))).toEqual(new Set(["cancelled"]));
    expect(cancelled).toBeLessThan(RELEASED * PER_DELIVERY);
  });
});
