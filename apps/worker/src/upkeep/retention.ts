import type { PoolClient } from "pg";
import { firstIdAt } from "@postrider/shared/core/ids/id-range.ts";
import { listPartitions, PARTITION_LOCK, type Partition } from "@postrider/shared/store/partitions.ts";
import { expirePartitionRows } from "@postrider/shared/store/sql/expire-partition.ts";
import type { Context } from "../context.ts";

const DAY_MS = 86_400_000;
/** Rows expired per statement, so that no lock is held for long. */
const PAGE = 5_000;

export interface RetentionRun {
  /** Names of the partitions. */
  dropped: string[];
  /** Deliveries that were unfinished when their partition was dropped. They are counted as dead (`expired`). */
  expired: number;
}

/**
 * Drops the partitions whose whole day is older than RETENTION_DAYS. One process at a time does it; the others find
 * the lock taken and do nothing.
 *
 * @param now Unix milliseconds
 */
export async function dropOldPartitions(context: Context, now: number): Promise<RetentionRun> {
  const { pool, settings, log, metrics } = context;
  const cutoff = firstIdAt(now - settings.retentionDays * DAY_MS);
  const run: RetentionRun = { dropped: [], expired: 0 };
  const client = await pool.connect();
  try {
    if (!(await tryLock(client))) return run;
    for (const partition of await listPartitions(client)) {
      if (partition.to > cutoff) continue;
      if (partition.table === "deliveries") run.expired += await expireUnfinished(client, partition);
      await drop(client, partition);
      run.dropped.push(partition.name);
    }
  } finally {
    // Ending the session releases the lock in any case.
    client.release(true);
  }
  if (run.expired > 0) metrics.transitions.inc({ state: "dead", reason: "expired" }, run.expired);
  if (run.dropped.length > 0) log.info(run, "dropped the partitions past their retention");
  return run;
}

async function tryLock(client: PoolClient): Promise<boolean> {
  const { rows } = await client.query<{ mine: boolean }>("select pg_try_advisory_lock($1) as mine", [PARTITION_LOCK]);
  return rows[0]!.mine;
}

async function expireUnfinished(client: PoolClient, { name }: Partition): Promise<number> {
  for (let expired = 0; ;) {
    const count = await expirePartitionRows(client, name, PAGE);
    expired += count;
    if (count < PAGE) return expired;
  }
}

/** DETACH … CONCURRENTLY does not block reads and writes of the parent; one that was interrupted is finished first. */
async function drop(client: PoolClient, { table, name, detaching }: Partition): Promise<void> {
  await client.query(`alter table "${table}" detach partition "${name}" ${detaching ? "finalize" : "concurrently"}`);
  await client.query(`drop table "${name}"`);
}
