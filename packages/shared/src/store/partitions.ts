import type { Pool, PoolClient } from "pg";
import { firstIdAt } from "../core/ids/id-range.ts";

const PARTITIONED_TABLES = ["events", "deliveries", "attempts"] as const;
const DAY_MS = 86_400_000;
/** Serialises the making and dropping of partitions in the whole fleet. */
export const PARTITION_LOCK = 7_301_002;

const startOfDay = (ms: number): number => ms - (ms % DAY_MS);
const partitionName = (table: string, dayMs: number): string =>
  `${table}_${new Date(dayMs).toISOString().slice(0, 10).replaceAll("-", "_")}`;

/**
 * Makes the daily partitions (UTC) from `fromMs` to `toMs` that do not exist yet.
 *
 * A partition is made as a table of its own and then attached: ATTACH takes a lock that lets reads and writes of the
 * parent go on, where CREATE … PARTITION OF would wait for all of them.
 *
 * @returns the names of the partitions made
 */
export async function ensurePartitions(pool: Pool, fromMs: number, toMs: number): Promise<string[]> {
  const wanted: { table: string; name: string; dayMs: number }[] = [];
  for (let dayMs = startOfDay(fromMs); dayMs <= toMs; dayMs += DAY_MS) {
    for (const table of PARTITIONED_TABLES) wanted.push({ table, name: partitionName(table, dayMs), dayMs });
  }
  if ((await missing(pool, wanted)).length === 0) return [];
  const client = await pool.connect();
  try {
    await client.query("begin");
    await client.query("select pg_advisory_xact_lock($1)", [PARTITION_LOCK]);
    const lacking = await missing(client, wanted);
    for (const { table, name, dayMs } of lacking) await makePartition(client, table, name, dayMs);
    await client.query("commit");
    return lacking.map(({ name }) => name);
  } catch (error) {
    await client.query("rollback").catch(() => undefined);
    throw error;
  } finally {
    client.release();
  }
}

/** The partitions that every process makes at start and hourly: yesterday to seven days ahead. */
export const ensureCurrentPartitions = (pool: Pool, nowMs: number): Promise<string[]> =>
  ensurePartitions(pool, nowMs - DAY_MS, nowMs + 7 * DAY_MS);

/** A daily partition: the ids from `from` up to, but without, `to`. */
export interface Partition {
  table: (typeof PARTITIONED_TABLES)[number];
  name: string;
  from: string;
  to: string;
  /** True where a DETACH … CONCURRENTLY was interrupted. */
  detaching: boolean;
}

/** Every partition there is, oldest first. */
export async function listPartitions(client: Pool | PoolClient): Promise<Partition[]> {
  const { rows } = await client.query<Partition & { bounds: string }>(
    `select p.relname as table, c.relname as name, pg_get_expr(c.relpartbound, c.oid) as bounds, i.inhdetachpending as detaching
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

async function makePartition(client: PoolClient, table: string, name: string, dayMs: number): Promise<void> {
  // Names and bounds are made here from a table's name and a day; nothing of a caller's text is in them.
  await client.query(`create table "${name}" (like "${table}" including defaults including constraints)`);
  if (table === "events") {
    // What fits stays in the row: a detour through the TOAST table cost a tenth of accepting and of loading.
    await client.query(`alter table "${name}" set (toast_tuple_target = 4080)`);
    // Bodies of some kilobytes are compressed: lz4 took half of Postgres's CPU time per event that the default pglz took
    // (npm run bench -- accept). Not every build of Postgres has it.
    await client.query(
      `do $$ begin
         if 'lz4' = any ((select enumvals from pg_settings where name = 'default_toast_compression')::text[]) then
           alter table "${name}" alter column body set compression lz4;
         end if;
       end $$`,
    );
  }
  if (table === "deliveries") {
    // Rows are updated once or twice within seconds and never again: vacuum early, so that pages are reused.
    await client.query(
      `alter table "${name}" set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05)`,
    );
  }
  await client.query(
    `alter table "${table}" attach partition "${name}" for values from ('${firstIdAt(dayMs)}') to ('${firstIdAt(dayMs + DAY_MS)}')`,
  );
}
