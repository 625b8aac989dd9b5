import { fileURLToPath } from "node:url";
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate as runMigrations } from "drizzle-orm/node-postgres/migrator";
import pg from "pg";
import { ensureCurrentPartitions } from "./partitions.ts";

const MIGRATIONS_FOLDER = fileURLToPath(new URL("../../../../drizzle", import.meta.url));
/** One migrating process at a time; the others wait and then find nothing to do. */
const MIGRATION_LOCK = 7_301_001;
const MIGRATIONS_TABLE = "postrider_migrations";

/**
 * Brings the database to the schema of this version and makes today's partitions. Running it twice, or in several
 * processes at once, is harmless.
 *
 * @returns how many migrations were applied, and the partitions made
 * @throws Error where the server is older than PostgreSQL 15
 */
export async function migrate(databaseUrl: string): Promise<{ applied: number; partitions: string[] }> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2, application_name: "postrider-migrate" });
  const client = await pool.connect();
  try {
    const { rows } = await client.query<{ version: number }>(
      "select current_setting('server_version_num')::int as version",
    );
    if (rows[0]!.version < 150_000) throw new Error("PostgreSQL 15 or newer is needed");
    await client.query("select pg_advisory_lock($1)", [MIGRATION_LOCK]);
    const before = await countApplied(client);
    await runMigrations(drizzle(client), {
      migrationsFolder: MIGRATIONS_FOLDER,
      migrationsTable: MIGRATIONS_TABLE,
      migrationsSchema: "public",
    });
    const applied = (await countApplied(client)) - before;
    const partitions = await ensureCurrentPartitions(pool, Date.now());
    return { applied, partitions };
  } finally {
    // Closing the session also lets go of the lock.
    client.release(true);
    await pool.end();
  }
}

async function countApplied(client: pg.PoolClient): Promise<number> {
  const { rows } = await client.query<{ exists: boolean }>("select to_regclass($1) is not null as exists", [
    MIGRATIONS_TABLE,
  ]);
  if (!rows[0]!.exists) return 0;
  const counted = await client.query<{ count: number }>(`select count(*)::int as count from ${MIGRATIONS_TABLE}`);
  return counted.rows[0]!.count;
}
