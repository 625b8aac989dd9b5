import type { Queryable } from "../pool.ts";

export interface PostgresUsage {
  databaseBytes: number;
  /** Client connections of the whole server. */
  connections: number;
  maxConnections: number;
}

const TEXT = `
  select pg_database_size(current_database())::float8 as "databaseBytes",
    (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as connections,
    current_setting('max_connections')::int as "maxConnections"`;

/** Reads the size of the database and the number of the server's connections. */
export async function readPostgresUsage(db: Queryable): Promise<PostgresUsage> {
  const { rows } = await db.query<PostgresUsage>(TEXT);
  return rows[0]!;
}
