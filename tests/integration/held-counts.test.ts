import { afterAll, beforeAll, expect, test } from "vitest";
import { HELD_REASONS } from "@postrider/shared/core/delivery/states.ts";
import { ALL_SUBSCRIPTIONS } from "@postrider/shared/store/held-counts.ts";
import { withConnection } from "@postrider/shared/store/pool.ts";
import { reconcileHeldCounts } from "@postrider/shared/store/reconcile-held-counts.ts";
import { countHeldByReason } from "@postrider/shared/store/sql/count-held-by-reason.ts";
import { foldHeldChangeRows } from "@postrider/shared/store/sql/fold-held-changes.ts";
import { readHeld } from "@postrider/shared/store/sql/read-held.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { dropOldPartitions } from "../../apps/worker/src/upkeep/retention.ts";
import { foldHeldChanges } from "../../apps/worker/src/upkeep/fold-held-changes.ts";

const SUBSCRIPTIONS = 4;
const MOVERS = 5;
const MOVES = 40;

let world: World;
const subscriptions: string[] = [];
beforeAll(async () => {
  world = await createTestWorld({ RETENTION_DAYS: "1", HOLD_LIMIT: "1h" });
  for (let n = 0; n < SUBSCRIPTIONS; n += 1) subscriptions.push(await world.subscribe());
  await world.accept(...Array.from({ length: 250 }, () => ({})));
});
afterAll(() => world.close());

const ZERO = "null, held_at = null, batch_id = null, dead_reason = null, next_attempt_at = null, settled_at";
const MOVES_TO = [
  "state = 'held', held_at = now(), batch_id = null, dead_reason = null, next_attempt_at = null, settled_at = null, held_reason = (array[@])[1 + floor(random() * 3)::int]",
  `state = 'delivered', held_reason = ${ZERO} = now()`,
  "state = 'pending', held_reason = null, batch_id = gen_random_uuid(), dead_reason = null, next_attempt_at = null, settled_at = null",
  "probed_at = now()",
].map((text) => text.replace("@", HELD_REASONS.slice(0, 3).map((reason) => `'${reason}'`).join(", "))); // prettier-ignore

/** Moves random deliveries to random states, as no statement of ours would, and rolls some of it back. */
async function moveAround(): Promise<void> {
  const client = await world.context.pool.connect();
  try {
    for (let move = 0; move < MOVES; move += 1) {
      await client.query("begin");
      for (let statement = 0; statement <= Math.random() * 2; statement += 1) {
        const set = MOVES_TO[Math.floor(Math.random() * MOVES_TO.length)]!;
        await client.query(
          `update deliveries set ${set} where id in
             (select id from deliveries order by random() limit 40 for update skip locked)`,
        );
      }
      await client.query(Math.random() < 0.2 ? "rollback" : "commit");
    }
  } finally {
    client.release();
  }
}

/** Counted and kept, in one snapshot. */
async function compare(): Promise<void> {
  const client = await world.context.pool.connect();
  try {
    await client.query("begin isolation level repeatable read");
    const { rows } = await client.query<{ id: string; reason: string; count: number }>(
      "select subscription_id as id, held_reason as reason, count(*)::int from deliveries where state = 'held' group by 1, 2",
    );
    const counted = new Map(rows.map(({ id, reason, count }) => [`${id} ${reason}`, count]));
    const kept = await readHeld(client, subscriptions);
    expect(new Map(kept.map(({ subscriptionId, reason, count }) => [`${subscriptionId} ${reason}`, count]))).toEqual(
      counted,
    );
    const reasons = new Map<string, number>();
    for (const { reason, count } of rows) reasons.set(reason, (reasons.get(reason) ?? 0) + count);
    const totals = await countHeldByReason(client);
    expect(new Map(totals.map(({ reason, deliveries }) => [reason, deliveries]))).toEqual(reasons);
    await client.query("commit");
  } finally {
    client.release();
  }
}

test("kept counts equal the held deliveries at every moment, while they change, are rolled back and are folded", async () => {
  const { pool } = world.context;
  const moving = new AbortController();
  const folding = Array.from({ length: 3 }, async () => {
    // Small pages, so that a fold ends in the middle of a transaction's changes.
    while (!moving.signal.aborted) await foldHeldChangeRows(pool, 30);
  });
  const comparing = (async () => {
    while (!moving.signal.aborted) await compare();
  })();
  await Promise.all(Array.from({ length: MOVERS }, moveAround)).finally(() => moving.abort());
  await Promise.all([...folding, comparing]);
  await compare();
  await foldHeldChanges(pool);
  await compare();
  const { rows } = await pool.query("select from held_changes");
  expect(rows).toEqual([]);
});

test("changes of a transaction that commits after later ones were folded are not missed", async () => {
  const { pool } = world.context;
  const slow = await pool.connect();
  await slow.query("begin");
  await slow.query(`update deliveries set ${MOVES_TO[0]!} where subscription_id = $1`, [subscriptions[0]]);
  await pool.query(`update deliveries set ${MOVES_TO[0]!} where subscription_id = $1`, [subscriptions[1]]);
  await foldHeldChanges(pool);
  await slow.query("commit");
  slow.release();
  await compare();
  await foldHeldChanges(pool);
  await compare();
});

test("a restored database, whose transactions begin anew, has the same counts", async () => {
  const { pool } = world.context;
  await foldHeldChanges(pool);
  await pool.query("update held_folded set xid = '9000000000000000000'");
  await pool.query(`update deliveries set ${MOVES_TO[0]!} where subscription_id = $1`, [subscriptions[2]]);
  await compare();
  await foldHeldChanges(pool);
  await compare();
});

async function addOldDay(): Promise<void> {
  const { pool } = world.context;
  await pool.query("create table old_day (like deliveries including defaults including constraints)");
  await pool.query(
    "alter table deliveries attach partition old_day for values from ('00000000-0000-0000-0000-000000000000') to ('00000000-0000-0000-0000-000000000009')",
  );
  await pool.query(
    `insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, held_reason, held_at)
     values ('00000000-0000-0000-0000-000000000001', gen_random_uuid(), $1, 'default', 'a', 'held', 'paused', now())`,
    [subscriptions[3]],
  );
}

test("a dropped partition's held deliveries are no longer counted", async () => {
  await addOldDay();
  await compare();
  expect((await dropOldPartitions(world.context)).expired).toBe(1);
  await compare();
});

test("a delivery that becomes held while its partition is being dropped is no longer counted", async () => {
  const { pool } = world.context;
  await addOldDay();
  const slow = await pool.connect();
  await slow.query("begin");
  await slow.query("select from old_day");
  const dropped = dropOldPartitions(world.context).catch(() => dropOldPartitions(world.context));
  await expect
    .poll(async () => {
      const { rowCount } = await pool.query(
        "select from pg_stat_activity where datname = current_database() and query like 'alter table%detach%' and wait_event_type = 'Lock'",
      );
      return rowCount;
    })
    .toBe(1);
  await slow.query(
    "update old_day set state = 'held', held_reason = 'paused', held_at = now(), dead_reason = null, settled_at = null",
  );
  await slow.query("commit");
  slow.release();
  await dropped;
  await compare();
});

test("counts that are wrong, for whatever reason, are corrected within the hour, once in the whole fleet", async () => {
  const { pool } = world.context;
  await pool.query(`update deliveries set ${MOVES_TO[0]!} where subscription_id = any ($1::uuid[])`, [subscriptions]);
  await foldHeldChanges(pool);
  await pool.query("update held_counts set deliveries = deliveries + 70000 where subscription_id = $1", [subscriptions[0]]); // prettier-ignore
  await pool.query("delete from held_counts where subscription_id = $1", [subscriptions[1]]);
  await pool.query("update held_counts set deliveries = 1 where subscription_id = $1", [ALL_SUBSCRIPTIONS]);
  await pool.query("update held_folded set reconciled_at = now() - interval '2 hours'");
  const corrected = await Promise.all([1, 2, 3].map(() => withConnection(pool, reconcileHeldCounts)));
  expect(corrected.filter((deliveries) => deliveries > 0)).toHaveLength(1);
  await compare();
  await foldHeldChanges(pool);
  await compare();
});

test("a truncated table has no held deliveries", async () => {
  await world.context.pool.query("truncate deliveries");
  await compare();
});

test("deliveries that are never held change no count", async () => {
  await world.accept(...Array.from({ length: 50 }, () => ({})));
  await world.context.pool.query(`update deliveries set ${MOVES_TO[1]!}`);
  const { rows } = await world.context.pool.query("select from held_changes");
  expect(rows).toEqual([]);
});
