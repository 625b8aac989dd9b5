import type { PoolClient } from "pg";
import { noteRun } from "@postrider/shared/runtime/fleet/watchdog-log.ts";
import type { Context } from "../context.ts";
import { sweepHeld, sweepPending, sweepRetrying, type Swept } from "./sweeps.ts";

/** A run of the watchdog, per state. `leader` is false where another process had the lock, and this one did nothing. */
export interface WatchdogRun {
  leader: boolean;
  pending: Swept;
  retrying: Swept;
  held: Swept;
}

/** One run at a time in the fleet. */
const WATCHDOG_LOCK = 7_301_003;
/** Postgres ends the transaction of a leader that freezes in the middle of a run after this, and with it the lock. */
const FROZEN_LEADER_MS = 15_000;
/** Work that was committed this recently may not have been enqueued yet. */
export const WATCHDOG_GRACE_MS = 2_000;
const NOTHING: Swept = { examined: 0, repaired: 0 };

/**
 * Re-dispatches unfinished work that has no live job: batches of `pending` deliveries, `retrying` deliveries past due,
 * and release jobs. It pages by index, so that any number of unfinished deliveries is walked without being loaded, and
 * never touches work that is merely queued.
 *
 * @param frozenLeaderMs how long a leader may do nothing in the middle of a run before Postgres ends its transaction
 */
export async function runOnce(context: Context, frozenLeaderMs = FROZEN_LEADER_MS): Promise<WatchdogRun> {
  const client = await context.pool.connect();
  try {
    await client.query("begin");
    await client.query(`set local idle_in_transaction_session_timeout = ${frozenLeaderMs}`);
    if (!(await tryLock(client))) {
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
    observe(context, run);
    client.release();
    await note(context, run);
    return run;
  } catch (error) {
    // The connection is in an unknown state (Postgres may have ended it): the pool replaces it.
    client.release(true);
    throw error;
  }
}

async function tryLock(client: PoolClient): Promise<boolean> {
  const { rows } = await client.query<{ leader: boolean }>("select pg_try_advisory_xact_lock($1) as leader", [
    WATCHDOG_LOCK,
  ]);
  return rows[0]!.leader;
}

function observe({ log, metrics }: Context, run: WatchdogRun): void {
  for (const lane of ["pending", "retrying", "held"] as const) {
    if (run[lane].repaired > 0) metrics.repairs.inc({ lane }, run[lane].repaired);
  }
  if (run.pending.repaired + run.retrying.repaired + run.held.repaired > 0)
    log.warn(run, "watchdog re-dispatched work that had no live job");
}

/** Notes the run for the console and the metrics. An unreachable Redis fails no run. */
const note = ({ redis }: Context, { pending, retrying, held }: WatchdogRun): Promise<void> =>
  noteRun(redis, {
    at: Date.now(),
    pending: pending.repaired,
    retrying: retrying.repaired,
    held: held.repaired,
  }).catch(() => undefined);
