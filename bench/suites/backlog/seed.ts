import type pg from "pg";
import { familyRange } from "../../../packages/shared/src/core/ids/id-range.ts";
import { newId } from "../../../packages/shared/src/runtime/new-id.ts";
import type { Database } from "../../support/database.ts";
import { openEnqueue, seedSubscriptions, withPool } from "../../support/seed.ts";

/** A backlog's deliveries, and what they wait for. */
export type Waiting = "dispatch" | "retry" | "expiry";

const TENANTS = 100;
const PER_TENANT = 10;
const SUBSCRIPTIONS = TENANTS * PER_TENANT;

const COMMON = "delivery_id($1, subscription_id), $1, subscription_id, tenant, 'bench.event'";
/** The columns of a waiting delivery that differ, and its values. */
const STATE: Readonly<Record<Waiting, string>> = {
  // Each in a batch of its own: that is the largest number of jobs.
  dispatch: `state, batch_id) select ${COMMON}, 'pending', batch_id($1, n::int)`,
  retry: `state, attempt_count, schedule_step, next_attempt_at) select ${COMMON}, 'retrying', 1, 1, now()`,
  expiry: `state, held_reason, held_at) select ${COMMON}, 'held', 'paused', now() - interval '100 days'`,
};

/**
 * Inserts `count` deliveries of 1,000 subscriptions of 100 tenants, all at one address, and their jobs.
 *
 * @param isQueued false leaves the jobs out, as if Redis had been emptied
 */
export async function seedBacklog(
  database: Database,
  redisUrl: string,
  { url, count, waiting, isQueued }: { url: string; count: number; waiting: Waiting; isQueued: boolean },
): Promise<void> {
  const subscriptions: string[] = [];
  for (let tenant = 0; tenant < TENANTS; tenant += 1) {
    subscriptions.push(...(await seedSubscriptions(database, { tenant: `backlog-${tenant}`, url, count: PER_TENANT })));
  }
  // They are proven: a new subscription would have to answer before it gets more than one request at a time.
  await database.run("update subscriptions set last_success_at = now()");
  // Of an active one they would be released.
  if (waiting === "expiry") await database.run("update subscriptions set status = 'paused'");
  const { enqueue, close } = openEnqueue(redisUrl);
  await withPool(database, async (pool) => {
    for (let made = 0; made < count; made += SUBSCRIPTIONS) {
      const rows = await insertEvent(pool, subscriptions, waiting);
      if (!isQueued) continue;
      if (waiting === "dispatch") {
        await enqueue.dispatch(rows.map(({ id, batch }) => ({ id: batch!, size: 1, ...familyRange([id]) })));
      } else if (waiting === "retry") {
        const job = { cycle: 0, eventType: "bench.event", url, delayMs: 0 };
        await enqueue.retry(rows.map(({ id, tenant }) => ({ ...job, delivery: id, tenant })));
      }
    }
  });
  await close();
  await database.run("vacuum analyze events, deliveries");
  await database.run("checkpoint");
}

interface Row {
  id: string;
  tenant: string;
  /** Null where it is not pending. */
  batch: string | null;
}

/** One event for all subscriptions. */
async function insertEvent(pool: pg.Pool, subscriptions: readonly string[], waiting: Waiting): Promise<Row[]> {
  const event = newId();
  await pool.query(
    "insert into events (id, tenant, type, body, delivery_count) values ($1, 'backlog-0', 'bench.event', '{}', $2)",
    [event, subscriptions.length],
  );
  const { rows } = await pool.query<Row>(
    `insert into deliveries (id, event_id, subscription_id, tenant, event_type, ${STATE[waiting]}
     from (
       select s.id as subscription_id, s.tenant, row_number() over () as n
       from subscriptions s where s.id = any ($2::uuid[])
     ) wanted
     returning id, tenant, batch_id as batch`,
    [event, subscriptions],
  );
  return rows;
}
