import { fileURLToPath } from "node:url";
import { drizzle } from "drizzle-orm/node-postgres";
import { readMigrationFiles } from "drizzle-orm/migrator";
import { migrate as runMigrations } from "drizzle-orm/node-postgres/migrator";
import pg from "pg";
import { ensureCurrentPartitions } from "./partitions.ts";

const MIGRATIONS_FOLDER = fileURLToPath(new URL("../../../../drizzle", import.meta.url));
/** Key of the advisory lock that serialises migrations. */
const MIGRATION_LOCK = 7_301_001;
const MIGRATIONS_TABLE = "postrider_migrations";

/**
 * Migrates the database to the schema of this version and creates today's partitions. Idempotent, also when several
 * processes run it at once.
 *
 * @returns how many migrations were applied, and the partitions created
 * @throws Error if the server is older than PostgreSQL 15, or a development version created the database
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
    const before = await readApplied(client);
    refuseDevelopmentVersion(before);
    await runMigrations(drizzle(client), {
      migrationsFolder: MIGRATIONS_FOLDER,
      migrationsTable: MIGRATIONS_TABLE,
      migrationsSchema: "public",
    });
    const applied = (await readApplied(client)).length - before.length;
    const partitions = await ensureCurrentPartitions(pool);
    return { applied, partitions };
  } finally {
    // Ending the session releases the lock.
    client.release(true);
    await pool.end();
  }
}

/** @returns the times of the migrations that were applied, as in drizzle/meta/_journal.json */
async function readApplied(client: pg.PoolClient): Promise<number[]> {
  const { rows } = await client.query<{ exists: boolean }>("select to_regclass($1) is not null as exists", [
    MIGRATIONS_TABLE,
  ]);
  if (!rows[0]!.exists) return [];
  const applied = await client.query<{ at: number }>(`select created_at::float8 as at from ${MIGRATIONS_TABLE}`);
  return applied.rows.map(({ at }) => at);
}

/**
 * Migrations were squashed before the first release, so a database may have some that no longer exist. Migrations newer
 * than this version's are accepted, so that a rollback works.
 */
function refuseDevelopmentVersion(applied: readonly number[]): void {
  const known = readMigrationFiles({ migrationsFolder: MIGRATIONS_FOLDER }).map(({ folderMillis }) => folderMillis);
  const newest = Math.max(...known);
  if (applied.every((at) => at > newest || known.includes(at))) return;
  throw new Error(
    "an earlier development version of Postrider created this database, and it can't be migrated: " +
      "empty it with `npm run reset` and start again",
  );
}
