import type { Queryable } from "../pool.ts";

/**
 * note_accepting() (drizzle/0007_accepting.sql) refuses ids that are more than two seconds old when a transaction takes its
 * lock, and the lock shows the second of its oldest id until the transaction has ended. This statement's own start is
 * read, not the time after it has looked at the locks: a transaction that takes its lock in between has younger ids.
 */
const TEXT = `
  select least(
    extract(epoch from statement_timestamp()) * 1000 - 2000,
    (
      select min(objid::bigint + 1700000000) * 1000 from pg_locks
      where locktype = 'advisory' and classid = 20009 and objsubid = 2
        and database = (select oid from pg_database where datname = current_database())
    )
  )::float8 as ms`;

/**
 * Until which time the events are settled: any event whose id is older is committed, and seen by the next statement, or
 * never will be. Unix milliseconds by Postgres's clock, two seconds ago or more.
 */
export async function readSettledTime(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ ms: number }>({ name: "read-settled-time", text: TEXT, values: [] });
  return Math.floor(rows[0]!.ms);
}
