import type { Queryable } from "../pool.ts";

/** Code that does not know sealed headers gives its connections no version. */
const TEXT = `
  select count(*)::float8 as older from pg_stat_activity
  where datname = current_database() and application_name ~ '^postrider-(ingest|worker)( v[0-9]{1,6}( key [0-9a-f]{8})?)?$'
    and coalesce(substring(application_name from ' v([0-9]+)')::int, 0) < $1`;

/** How many connections ingest and worker processes have whose code does not know a migration. */
export async function countOlderProcesses(db: Queryable, version: number): Promise<number> {
  const { rows } = await db.query<{ older: number }>(TEXT, [version]);
  return rows[0]!.older;
}
