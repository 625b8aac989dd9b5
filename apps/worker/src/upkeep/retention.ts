import type { PoolClient } from "pg";
import { firstIdAt } from "@postrider/shared/core/ids/id-range.ts";
import { listPartitions, PARTITION_LOCK, type Partition } from "@postrider/shared/store/partitions.ts";
import type { Context } from "../context.ts";

const DAY_MS = 86_400_000;
/** Rows made dead per statement, so that no lock is held for long. */
const PAGE = 5_000;

export interface RetentionRun {
  dropped: string[];
  /** Deliveries that were unfinished when their day was over for good: dead (`expired`), counted, and gone with their partition. */
  expired: number;
}

/**
 * Drops the partitions whose whole day is older than RETENTION_DAYS. One process at a time does it; the others find
 * the lock taken and leave it.
 *
 * @param now Unix milliseconds
 */
export async function dropOldPartitions(context: Context, now: number): Promise<RetentionRun> {
  const { pool, settings, log, metrics } = context;
  const cutoff = firstIdAt(now - settings.retentionDays * DAY_MS);
  const run: RetentionRun = { dropped: [], expired: 0 };
  const client = await pool.connect();
  try {
    const { rows } = await client.query<{ mine: boolean }>("select pg_try_advisory_lock($1) as mine", [PARTITION_LOCK]);
    if (!rows[0]!.mine) return run;
    for (const partition of await listPartitions(client)) {
      if (partition.to > cutoff) continue;
      if (partition.table === "deliveries") run.expired += await expireUnfinished(client, partition);
      await drop(client, partition);
      run.dropped.push(partition.name);
    }
  } finally {
    // The session's end lets go of the lock, whatever happened.
    client.release(true);
  }
  if (run.expired > 0) metrics.moves.inc({ state: "dead", reason: "expired" }, run.expired);
  if (run.dropped.length > 0) log.info(run, "partitions past their retention are dropped");
  return run;
}

async function expireUnfinished(client: PoolClient, { name }: Partition): Promise<number> {
  for (let expired = 0; ;) {
    const { rowCount } = await client.query(
      `update "${name}" set state = 'dead', dead_reason = 'expired', settled_at = now(), last_error = coalesce(last_error, 'past retention'),
         batch_id = null, held_reason = null, held_at = null, next_attempt_at = null
       where id in (select id from "${name}" where state in ('pending', 'retrying', 'held') limit ${PAGE})`,
    );
    expired += rowCount ?? 0;
    if ((rowCount ?? 0) < PAGE) return expired;
  }
}

/** DETACH … CONCURRENTLY lets reads and writes of the parent go on; one that was interrupted is finished first. */
async function drop(client: PoolClient, { table, name, detaching }: Partition): Promise<void> {
  await client.query(`alter table "${table}" detach partition "${name}" ${detaching ? "finalize" : "concurrently"}`);
  await client.query(`drop table "${name}"`);
}
