import type { PoolClient } from "pg";
import type { Job, Queue } from "bullmq";
import { familyRange, timeOfId } from "@postrider/shared/core/ids/id-range.ts";
import { noteRun } from "@postrider/shared/runtime/fleet/watchdog-log.ts";
import { addJobs } from "@postrider/shared/queue/enqueue.ts";
import { dispatchJob, releaseJob, retryJob, retryJobId, type NewJob } from "@postrider/shared/queue/jobs.ts";
import type { Context } from "../context.ts";

/** What one run looked at and put back, per state. `leader` is false where another process had the lock. */
export interface WatchdogRun {
  leader: boolean;
  pending: { examined: number; repaired: number };
  retrying: { examined: number; repaired: number };
  held: { examined: number; repaired: number };
}

/** One run at a time in the fleet. */
const WATCHDOG_LOCK = 7_301_003;
const PAGE = 500;
/** A leader that freezes in the middle of a run is cut off by Postgres after this, and with it goes the lock. */
const FROZEN_LEADER_MS = 15_000;
/** What was committed this recently is still being put on its lane by whoever committed it. */
export const WATCHDOG_GRACE_MS = 2_000;
const NOTHING = { examined: 0, repaired: 0 };

/**
 * Puts back what Postgres says is unfinished and no live job holds: batches of `pending` deliveries, `retrying` ones
 * past due, and release jobs. It pages by index, so that any number of unfinished deliveries is walked without being
 * loaded, and leaves alone what is merely queued.
 *
 * @param frozenLeaderMs how long a leader may do nothing in the middle of a run before Postgres ends its transaction
 */
export async function runOnce(context: Context, frozenLeaderMs = FROZEN_LEADER_MS): Promise<WatchdogRun> {
  const client = await context.pool.connect();
  try {
    await client.query("begin");
    await client.query(`set local idle_in_transaction_session_timeout = ${frozenLeaderMs}`);
    const { rows } = await client.query<{ leader: boolean }>("select pg_try_advisory_xact_lock($1) as leader", [
      WATCHDOG_LOCK,
    ]);
    if (!rows[0]!.leader) {
      await client.query("rollback");
      client.release();
      return { leader: false, pending: NOTHING, retrying: NOTHING, held: NOTHING };
    }
    const graceMs = Math.min(WATCHDOG_GRACE_MS, context.settings.watchdogIntervalMs);
    const run: WatchdogRun = {
      leader: true,
      pending: await sweepPending(context, client, graceMs),
      retrying: await sweepRetrying(context, client, graceMs),
      held: await sweepHeld(context, client),
    };
    await client.query("commit");
    report(context, run);
    client.release();
    await note(context, run);
    return run;
  } catch (error) {
    // The connection is in an unknown state (a cut-off leader's is dead): the pool makes a new one.
    client.release(true);
    throw error;
  }
}

interface Batch {
  batch: string;
  size: number;
  from: string;
  to: string;
}

async function sweepPending({ queues }: Context, client: PoolClient, graceMs: number) {
  const total = { examined: 0, repaired: 0 };
  for (let after = "00000000-0000-0000-0000-000000000000"; ;) {
    const { rows } = await client.query<Batch>(
      `select batch_id as batch, count(*)::int as size, min(id::text) as "from", max(id::text) as "to"
       from deliveries where state = 'pending' and batch_id > $1 group by batch_id order by batch_id limit ${PAGE}`,
      [after],
    );
    const settled = rows.filter(({ batch }) => Date.now() - timeOfId(batch) > graceMs);
    const jobs = settled.map(({ batch, from, to, size }) =>
      dispatchJob({ id: batch, size, ...familyRange([from, to]) }),
    );
    total.examined += rows.length;
    total.repaired += await addMissing(queues.dispatch as Queue, jobs, async (ids) => {
      const still = await client.query<{ id: string }>(
        "select distinct batch_id as id from deliveries where state = 'pending' and batch_id = any ($1::uuid[])",
        [ids],
      );
      return still.rows.map(({ id }) => id);
    });
    if (rows.length < PAGE) return total;
    after = rows.at(-1)!.batch;
  }
}

async function sweepRetrying({ queues }: Context, client: PoolClient, graceMs: number) {
  const total = { examined: 0, repaired: 0 };
  for (let after = { due: "-infinity", id: "00000000-0000-0000-0000-000000000000" }; ;) {
    const { rows } = await client.query<{
      id: string;
      cycle: number;
      due: string;
      eventType: string;
      url: string | null;
    }>(
      `select d.id, d.cycle, d.next_attempt_at::text as due, d.event_type as "eventType", s.url
       from deliveries d left join subscriptions s on s.id = d.subscription_id
       where d.state = 'retrying' and d.next_attempt_at < now() - $3 * interval '1 millisecond'
         and (d.next_attempt_at, d.id) > ($1::timestamptz, $2::uuid)
       order by d.next_attempt_at, d.id limit ${PAGE}`,
      [after.due, after.id, graceMs],
    );
    const jobs = rows.map(({ id, cycle, eventType, url }) =>
      retryJob({ delivery: id, cycle, eventType, url: url ?? undefined, delayMs: 0 }),
    );
    total.examined += rows.length;
    total.repaired += await addMissing(queues.retry as Queue, jobs, async (jobIds) => {
      const ids = rows.filter(({ id, cycle }) => jobIds.includes(retryJobId(id, cycle))).map(({ id }) => id);
      const { from, to } = familyRange(ids);
      const still = await client.query<{ id: string; cycle: number }>(
        `select id, cycle from deliveries where id = any ($1::uuid[]) and id between $2 and $3
           and state = 'retrying' and next_attempt_at < now() - $4 * interval '1 millisecond'`,
        [ids, from, to, graceMs],
      );
      return still.rows.map(({ id, cycle }) => retryJobId(id, cycle));
    });
    if (rows.length < PAGE) return total;
    after = { due: rows.at(-1)!.due, id: rows.at(-1)!.id };
  }
}

async function sweepHeld({ queues }: Context, client: PoolClient) {
  const total = { examined: 0, repaired: 0 };
  for (let after = "00000000-0000-0000-0000-000000000000"; ;) {
    // From one subscription with something held to the next, by index: what they hold is not read.
    const { rows } = await client.query<{ id: string; releasable: boolean }>(
      `with recursive holding (id, n) as (
         (select subscription_id, 1 from deliveries where state = 'held' and subscription_id > $1 order by subscription_id limit 1)
         union all
         select (select d.subscription_id from deliveries d where d.state = 'held' and d.subscription_id > h.id
                 order by d.subscription_id limit 1), n + 1
         from holding h where h.id is not null and n < ${PAGE}
       )
       select h.id, s.id is null or s.status = 'active' or s.deleted_at is not null as releasable
       from holding h left join subscriptions s on s.id = h.id where h.id is not null order by h.id`,
      [after],
    );
    const jobs = rows.filter(({ releasable }) => releasable).map(({ id }) => releaseJob(id));
    total.examined += rows.length;
    total.repaired += await addMissing(queues.control as Queue, jobs, async (ids) => {
      const still = await client.query<{ id: string }>(
        `select asked.id from unnest($1::uuid[]) as asked (id)
         where exists (select from deliveries d where d.subscription_id = asked.id and d.state = 'held')`,
        [ids],
      );
      return still.rows.map(({ id }) => id);
    });
    if (rows.length < PAGE) return total;
    after = rows.at(-1)!.id;
  }
}

const LIVE = new Set<Awaited<ReturnType<Job["getState"]>>>(["waiting", "prioritized", "delayed", "active"]);

/**
 * Adds the jobs that no live job stands for; one in any other state is removed first, because adding would be a silent no-op.
 *
 * @param needed asked after that which of these job ids Postgres still has work for: a job that ended between the look at the
 *   rows and the look at the jobs is not missing
 */
async function addMissing(
  queue: Queue,
  jobs: readonly NewJob<unknown>[],
  needed: (jobIds: readonly string[]) => Promise<readonly string[]>,
): Promise<number> {
  if (jobs.length === 0) return 0;
  const states = await Promise.all(jobs.map(({ opts }) => queue.getJobState(opts.jobId)));
  const gone = jobs.flatMap((job, index) => (LIVE.has(states[index]!) ? [] : [{ job, state: states[index]! }]));
  if (gone.length === 0) return 0;
  const stillNeeded = new Set(await needed(gone.map(({ job }) => job.opts.jobId)));
  const missing = gone.filter(({ job }) => stillNeeded.has(job.opts.jobId));
  const leftovers = missing.filter(({ state }) => state !== "unknown");
  await Promise.all(leftovers.map(({ job }) => queue.remove(job.opts.jobId)));
  if (missing.length > 0) await addJobs(queue, missing.map(({ job }) => job)); // prettier-ignore
  return missing.length;
}

/** Where a person can see it. Redis may be away, and the run was none the worse. */
const note = ({ redis }: Context, { pending, retrying, held }: WatchdogRun): Promise<void> =>
  noteRun(redis, {
    at: Date.now(),
    pending: pending.repaired,
    retrying: retrying.repaired,
    held: held.repaired,
  }).catch(() => undefined);

function report({ log, metrics }: Context, run: WatchdogRun): void {
  for (const lane of ["pending", "retrying", "held"] as const) {
    if (run[lane].repaired > 0) metrics.repairs.inc({ lane }, run[lane].repaired);
  }
  if (run.pending.repaired + run.retrying.repaired + run.held.repaired > 0) log.warn(run, "watchdog put work back");
}
