import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { drizzle } from "drizzle-orm/node-postgres";
import { readMigrationFiles } from "drizzle-orm/migrator";
import { migrate as runMigrations } from "drizzle-orm/node-postgres/migrator";
import pg from "pg";
import { buildIndexes } from "./build-indexes.ts";
import { MIGRATION_LOCK_TIMEOUT, withLockRetries } from "./lock-retries.ts";
import { ensureCurrentPartitions } from "./partitions.ts";
import { reconcileHeldCounts } from "./reconcile-held-counts.ts";
import { connectTo } from "./session.ts";

const MIGRATIONS_FOLDER = fileURLToPath(new URL("../../../../drizzle", import.meta.url));
/** Key of the advisory lock that serialises migrations. */
const MIGRATION_LOCK = 7_301_001;
const MIGRATIONS_TABLE = "postrider_migrations";
const POLL_MS = 500;

interface Migrated {
  /** How many migrations. */
  applied: number;
  /** Created. */
  partitions: string[];
  /** Built on partitions that were there before. */
  indexes: string[];
}

/**
 * Migrates the database to the schema of this version, builds its indexes and creates today's partitions. Idempotent,
 * also when several processes run it at once. Processes of the version before may be running: they are blocked for
 * MIGRATION_LOCK_TIMEOUT at a time, and hardly ever.
 *
 * @throws Error if the server is older than PostgreSQL 15, a development version created the database, or another
 * transaction keeps a lock for too long
 */
export async function migrate(databaseUrl: string): Promise<Migrated> {
  const pool = new pg.Pool({
    ...connectTo(databaseUrl),
    max: 2,
    application_name: "postrider-migrate",
    keepAlive: true,
  });
  const client = await pool.connect();
  // The statement under way fails when the connection breaks; without a listener this event would end the process.
  client.on("error", () => undefined);
  try {
    const { rows } = await client.query<{ version: number }>(
      "select current_setting('server_version_num')::int as version",
    );
    if (rows[0]!.version < 150_000) throw new Error("PostgreSQL 15 or newer is needed");
    await client.query(`set lock_timeout = '${MIGRATION_LOCK_TIMEOUT}'; set statement_timeout = 0`);
    await lock(client);
    const before = await readApplied(client);
    refuseDevelopmentVersion(before);
    await withLockRetries(() =>
      runMigrations(drizzle(client), {
        migrationsFolder: MIGRATIONS_FOLDER,
        migrationsTable: MIGRATIONS_TABLE,
        migrationsSchema: "public",
      }),
    );
    // Before the indexes, which take long: the watchdog of new processes goes by the counts.
    await reconcileHeldCounts(client);
    const indexes = await buildIndexes(client);
    for (const statement of VALIDATIONS) await withLockRetries(() => client.query(statement));
    const applied = (await readApplied(client)).length - before.length;
    const partitions = await ensureCurrentPartitions(pool);
    return { applied, partitions, indexes };
  } finally {
    // Ending the session releases the lock.
    client.release(true);
    await pool.end();
  }
}

/** Constraints that migrations add as NOT VALID, because a check of all rows would block their writers. */
const VALIDATIONS = ["alter table idempotency_keys validate constraint idempotency_keys_result_check"];

/** Asks again and again: a process that waits inside of a statement would keep CREATE INDEX CONCURRENTLY waiting. */
async function lock(client: pg.PoolClient): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ mine: boolean }>("select pg_try_advisory_lock($1) as mine", [MIGRATION_LOCK]);
    if (rows[0]!.mine) return;
    await sleep(POLL_MS);
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
