import type { PoolClient } from "pg";
import { noteRun } from "@postrider/shared/runtime/fleet/watchdog-log.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import { withConnection } from "@postrider/shared/store/pool.ts";
import type { Context } from "../context.ts";
import { expandingSweep, heldSweep, pendingSweep, retryingSweep } from "./sweeps.ts";
import { newCursor, sweep, type Cursor, type Sweep, type Swept, type SweepRun } from "./sweep.ts";

/** A run of the watchdog, per state. `leader` is false where another process had the lock, and this one did nothing. */
export interface WatchdogRun {
  leader: boolean;
  pending: Swept;
  retrying: Swept;
  held: Swept;
  expanding: Swept;
  /** Whether a sweep ran out of time after it had added jobs, so that the next run should begin at once. */
  hasMore: boolean;
}

/** What a process remembers from one run to its next: where each sweep goes on. */
export type WatchdogMemory = Readonly<Record<State, Cursor<unknown>>>;

const STATES = ["pending", "retrying", "held", "expanding"] as const;
type State = (typeof STATES)[number];

export const createWatchdogMemory = (): WatchdogMemory => ({
  pending: newCursor(),
  retrying: newCursor(),
  held: newCursor(),
  expanding: newCursor(),
});

/** One run at a time in the fleet. */
const WATCHDOG_LOCK = 7_301_003;
/** Postgres ends the transaction of a leader that freezes in the middle of a run after this, and with it the lock. */
const FROZEN_LEADER_MS = 15_000;
/** Work that was committed this recently may not have been enqueued yet. */
export const WATCHDOG_GRACE_MS = 2_000;
/** A sweep stops after this, so that those of the other states have their turn. */
const MAX_SWEEP_MS = 5_000;
const NOTHING: Swept = { examined: 0, repaired: 0 };
const NOT_LEADING: WatchdogRun = {
  leader: false,
  pending: NOTHING,
  retrying: NOTHING,
  held: NOTHING,
  expanding: NOTHING,
  hasMore: false,
};

/**
 * Re-dispatches unfinished work that has no live job: batches of `pending` deliveries, `retrying` deliveries past due,
 * release jobs and expand jobs. Each sweep pages by index for a bounded time and goes on in the next run, so that any
 * number of unfinished deliveries is walked without being loaded. It never touches work that is merely queued.
 *
 * @param frozenLeaderMs how long a leader may do nothing in the middle of a run before Postgres ends its transaction
 * @throws the first error of a sweep, after the others have run
 */
export async function runOnce(
  context: Context,
  memory: WatchdogMemory = createWatchdogMemory(),
  frozenLeaderMs = FROZEN_LEADER_MS,
): Promise<WatchdogRun> {
  const startedAt = performance.now();
  const run = await withConnection(context.pool, async (client) => {
    await client.query("begin");
    await client.query(`set local idle_in_transaction_session_timeout = ${frozenLeaderMs}`);
    const isLeader = await tryLock(client);
    const swept = isLeader ? await sweepAll(context, memory, client) : NOT_LEADING;
    await client.query("commit");
    return swept;
  });
  if (run.leader) {
    observe(context, run);
    await note(context, run, performance.now() - startedAt);
  }
  return run;
}

async function tryLock(client: PoolClient): Promise<boolean> {
  const { rows } = await client.query<{ leader: boolean }>("select pg_try_advisory_xact_lock($1) as leader", [
    WATCHDOG_LOCK,
  ]);
  return rows[0]!.leader;
}

/** The sweeps use connections of their own: an error in one would end the transaction, and with it the lock. */
async function sweepAll(context: Context, memory: WatchdogMemory, client: PoolClient): Promise<WatchdogRun> {
  const graceMs = Math.min(WATCHDOG_GRACE_MS, context.settings.watchdogIntervalMs);
  const run: WatchdogRun = { ...NOT_LEADING, leader: true };
  const errors: unknown[] = [];

  async function runSweep<Row>(state: State, work: Sweep<Row>): Promise<void> {
    const sweepRun: SweepRun = {
      lookUpJobs: context.lookUpJobs,
      deadline: performance.now() + MAX_SWEEP_MS,
      stillLeading: async () => void (await client.query("select 1")),
    };
    try {
      const cursor = memory[state] as Cursor<Row>;
      run[state] = await sweep(work, cursor, sweepRun);
      if (cursor.last !== undefined && run[state].repaired > 0) run.hasMore = true;
    } catch (error) {
      errors.push(error);
    }
  }

  await runSweep("pending", pendingSweep(context, graceMs));
  await runSweep("retrying", retryingSweep(context, graceMs));
  await runSweep("held", heldSweep(context));
  await runSweep("expanding", expandingSweep(context));
  if (errors.length > 0) throw errors[0];
  return run;
}

function observe({ log, metrics }: Context, run: WatchdogRun): void {
  for (const lane of STATES) if (run[lane].repaired > 0) metrics.repairs.inc({ lane }, run[lane].repaired);
  if (STATES.some((state) => run[state].repaired > 0))
    log.warn(run, "watchdog re-dispatched work that had no live job");
}

/** Notes the run for the console and the metrics. An unreachable Redis fails no run. */
const note = (
  { redis }: Context,
  { pending, retrying, held, expanding }: WatchdogRun,
  durationMs: number,
): Promise<void> =>
  noteRun(redis, {
    at: Math.round(now() - durationMs),
    durationMs: Math.round(durationMs),
    pending: pending.repaired,
    retrying: retrying.repaired,
    held: held.repaired,
    expanding: expanding.repaired,
  }).catch(() => undefined);
