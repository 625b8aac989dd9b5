import type { Queryable } from "../pool.ts";

/**
 * Each process keeps a connection, whose name ends with the key that it seals with (process/infrastructure.ts). Older code
 * gives its connections none.
 */
const TEXT = `
  select distinct substring(application_name from '^postrider-[a-z]+') as process,
    coalesce(substring(application_name from ' key ([0-9a-f]{8})$'), 'unknown') as key
  from pg_stat_activity
  where datname = current_database() and application_name ~ '^postrider-(ingest|worker)( v[0-9]{1,6}( key [0-9a-f]{8})?)?$'
    and application_name not like '%' || $1
  order by 1, 2`;

/** The processes of the fleet that seal with another key than this one. @param keyId of 8 hexadecimal digits */
export async function findOtherSealingKeys(db: Queryable, keyId: string): Promise<{ process: string; key: string }[]> {
  return (await db.query<{ process: string; key: string }>(TEXT, [keyId])).rows;
}
