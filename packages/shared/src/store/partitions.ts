import type { Pool, PoolClient } from "pg";
import { firstIdAt, timeOfId } from "../core/ids/id-range.ts";
import { inTransaction, withConnection } from "./pool.ts";
import { repeatConflicts } from "./repeat-conflicts.ts";
import { readClock } from "./sql/read-clock.ts";

const PARTITIONED_TABLES = ["events", "deliveries", "attempts"] as const;
const DAY_MS = 86_400_000;
/** Key of the advisory lock that serialises creating and dropping partitions in the whole fleet. */
export const PARTITION_LOCK = 7_301_002;

const startOfDay = (ms: number): number => ms - (ms % DAY_MS);
const partitionName = (table: string, dayMs: number): string =>
  `${table}_${new Date(dayMs).toISOString().slice(0, 10).replaceAll("-", "_")}`;

interface WantedPartition {
  table: string;
  name: string;
  dayMs: number;
}

/**
 * Creates the missing daily partitions (UTC) from `fromMs` to `toMs`.
 *
 * A partition is created as a separate table and then attached, because ATTACH's lock allows reads and writes of the
 * parent, while CREATE … PARTITION OF would wait for all of them.
 *
 * @returns the names of the new partitions
 */
export function ensurePartitions(pool: Pool, fromMs: number, toMs: number): Promise<string[]> {
  const days: number[] = [];
  for (let dayMs = startOfDay(fromMs); dayMs <= toMs; dayMs += DAY_MS) days.push(dayMs);
  return ensureDays(pool, days);
}

/** Creates the missing partitions of these ids, whatever their time. Returns the names of the new ones. */
export const ensurePartitionsOf = (pool: Pool, ids: readonly string[]): Promise<string[]> =>
  ensureDays(pool, [...new Set(ids.map((id) => startOfDay(timeOfId(id))))]);

async function ensureDays(pool: Pool, days: readonly number[]): Promise<string[]> {
  const wanted = days.flatMap((dayMs) =>
    PARTITIONED_TABLES.map((table) => ({ table, name: partitionName(table, dayMs), dayMs })),
  );
  if ((await missing(pool, wanted)).length === 0) return [];
  return repeatConflicts(() => createMissing(pool, wanted));
}

const createMissing = (pool: Pool, wanted: readonly WantedPartition[]): Promise<string[]> =>
  withConnection(pool, (client) =>
    inTransaction(client, async () => {
      await client.query("select pg_advisory_xact_lock($1)", [PARTITION_LOCK]);
      const absent = await missing(client, wanted);
      for (const { table, name, dayMs } of absent) await createPartition(client, table, name, dayMs);
      return absent.map(({ name }) => name);
    }),
  );

/**
 * Creates the partitions from yesterday to seven days ahead, by Postgres's clock. Every process calls it at start, and
 * hourly.
 */
export async function ensureCurrentPartitions(pool: Pool): Promise<string[]> {
  const nowMs = await readClock(pool);
  return ensurePartitions(pool, nowMs - DAY_MS, nowMs + 7 * DAY_MS);
}

/** A daily partition: the ids from `from` (inclusive) to `to` (exclusive). */
export interface Partition {
  table: (typeof PARTITIONED_TABLES)[number];
  name: string;
  from: string;
  /** Empty where its bounds are not two ids, as of a partition that Postrider has not made. */
  to: string;
  /** True after an interrupted DETACH … CONCURRENTLY. */
  detaching: boolean;
}

/** Lists all partitions, oldest first. */
export async function listPartitions(client: Pool | PoolClient): Promise<Partition[]> {
  const { rows } = await client.query<Partition & { bounds: string }>(
    `select p.relname as table, c.relname as name, pg_get_expr(c.relpartbound, c.oid) as bounds,
       i.inhdetachpending as detaching
     from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
     where i.inhparent = any($1::regclass[])`,
    [PARTITIONED_TABLES],
  );
  return rows
    .map(({ table, name, bounds, detaching }) => {
      const [, from = "", to = ""] = /FROM \('([^']+)'\) TO \('([^']+)'\)/.exec(bounds) ?? [];
      return { table, name, from, to, detaching };
    })
    .sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
}

async function missing<T extends { name: string }>(client: Pool | PoolClient, wanted: readonly T[]): Promise<T[]> {
  const present = new Set((await listPartitions(client)).map(({ name }) => name));
  return wanted.filter(({ name }) => !present.has(name));
}

async function createPartition(client: PoolClient, table: string, name: string, dayMs: number): Promise<void> {
  // Names and bounds are built from a table's name and a day only, so they are safe to interpolate.
  await client.query(`create table "${name}" (like "${table}" including defaults including constraints)`);
  if (table === "events") {
    // Keeps bodies up to a page in the row: the TOAST table cost a tenth of accepting and of loading.
    await client.query(`alter table "${name}" set (toast_tuple_target = 4080)`);
    // For bodies of some kilobytes lz4 halves Postgres's CPU time per event compared with the default, pglz
    // (npm run bench -- accept). Some builds of Postgres lack it.
    await client.query(
      `do $$ begin
         if 'lz4' = any ((select enumvals from pg_settings where name = 'default_toast_compression')::text[]) then
           alter table "${name}" alter column body set compression lz4;
         end if;
       end $$`,
    );
  }
  if (table === "deliveries") {
    // Rows are updated once or twice within seconds and then never again. Early vacuums let pages be reused.
    await client.query(
      `alter table "${name}" set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05)`,
    );
  }
  await client.query(
    `alter table "${table}" attach partition "${name}"
       for values from ('${firstIdAt(dayMs)}') to ('${firstIdAt(dayMs + DAY_MS)}')`,
  );
}
