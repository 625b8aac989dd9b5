import type { PoolClient } from "pg";
import { firstIdAt } from "@postrider/shared/core/ids/id-range.ts";
import { listPartitions, PARTITION_LOCK, type Partition } from "@postrider/shared/store/partitions.ts";
import { readClock } from "@postrider/shared/store/sql/read-clock.ts";
import { inTransaction } from "@postrider/shared/store/pool.ts";
import { endOldestExpansion } from "@postrider/shared/store/sql/end-oldest-expansion.ts";
import { expirePartitionRows } from "@postrider/shared/store/sql/expire-partition.ts";
import { uncountHeldRows } from "@postrider/shared/store/sql/uncount-held.ts";
import type { Context } from "../context.ts";

const DAY_MS = 86_400_000;
/** Rows expired per statement, so that no lock is held for long. */
const PAGE = 5_000;

export interface RetentionRun {
  /** Names of the partitions. */
  dropped: string[];
  /**
   * Deliveries that were unfinished when their partition was dropped, or were never written. They are counted as dead
   * (`expired`).
   */
  expired: number;
}

/** Within a day, deliveries go before their events: if a run ends in between, no delivery is left without its event. */
const DROP_ORDER = ["attempts", "deliveries", "events"] as const satisfies Partition["table"][];

/**
 * Drops the partitions whose whole day is older than RETENTION_DAYS by Postgres's clock, oldest day first. One process
 * at a time does it; the others find the lock taken and do nothing.
 *
 * @throws the first error, after the other days: a day that cannot be dropped keeps none of them. An expansion that
 *   cannot be ended keeps all
 */
export async function dropOldPartitions(context: Context): Promise<RetentionRun> {
  const { pool, settings, log, metrics } = context;
  const run: RetentionRun = { dropped: [], expired: 0 };
  const errors: unknown[] = [];
  const client = await pool.connect();
  try {
    if (!(await tryLock(client))) return run;
    const cutoff = retentionCutoff(await readClock(client), settings.retentionDays);
    const old = (await listPartitions(client)).filter(({ to }) => to !== "" && to <= cutoff);
    // A dropped day must not have any, so none is dropped where one fails to end.
    await endExpansions(client, cutoff, run);
    for (const partitions of Map.groupBy(old, ({ from }) => from).values()) {
      await dropDay(client, partitions, run).catch((error: unknown) => errors.push(error));
    }
  } catch (error) {
    errors.push(error);
  } finally {
    // Ending the session releases the lock in any case.
    client.release(true);
  }
  if (run.expired > 0) metrics.transitions.inc({ state: "dead", reason: "expired" }, run.expired);
  if (run.dropped.length > 0) log.info(run, "dropped the partitions past their retention");
  if (errors.length > 0) throw errors[0];
  return run;
}

/** The first id of the oldest day that is kept. */
export function retentionCutoff(nowMs: number, retentionDays: number): string {
  const cutoffMs = nowMs - retentionDays * DAY_MS;
  return firstIdAt(cutoffMs - (cutoffMs % DAY_MS));
}

async function endExpansions(client: PoolClient, before: string, run: RetentionRun): Promise<void> {
  for (;;) {
    const unwritten = await endOldestExpansion(client, before);
    if (unwritten === undefined) return;
    run.expired += unwritten;
  }
}

async function dropDay(client: PoolClient, partitions: readonly Partition[], run: RetentionRun): Promise<void> {
  for (const partition of DROP_ORDER.flatMap((table) => partitions.filter((one) => one.table === table))) {
    if (partition.table === "deliveries") run.expired += await expireUnfinished(client, partition);
    run.expired += await drop(client, partition);
    run.dropped.push(partition.name);
  }
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

/**
 * DETACH … CONCURRENTLY does not block reads and writes of the parent; one that was interrupted is finished first.
 *
 * @returns how many deliveries had become held since the others were expired
 */
async function drop(client: PoolClient, { table, name, detaching }: Partition): Promise<number> {
  await client.query(`alter table "${table}" detach partition "${name}" ${detaching ? "finalize" : "concurrently"}`);
  return inTransaction(client, async () => {
    const held = table === "deliveries" ? await uncountHeldRows(client, name) : 0;
    await client.query(`drop table "${name}"`);
    return held;
  });
}
