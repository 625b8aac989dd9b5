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
  )::float8 as ms, pg_is_in_recovery() as "isStandby"`;

export interface SettledTime {
  /** Unix milliseconds by Postgres's clock, two seconds ago or more, with fractions. */
  ms: number;
  /** Then it means nothing: a standby does not have the locks of the primary. */
  isStandby: boolean;
}

/**
 * Until which time the events are settled: any event whose id is older is committed, and seen by the next statement of
 * this connection, or never will be.
 */
export async function readSettledTime(db: Queryable): Promise<SettledTime> {
  const { rows } = await db.query<SettledTime>({ name: "read-settled-time", text: TEXT, values: [] });
  return rows[0]!;
}
