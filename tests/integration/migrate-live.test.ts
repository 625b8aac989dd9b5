import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate as runMigrations } from "drizzle-orm/node-postgres/migrator";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { LATER_INDEXES } from "@postrider/shared/store/build-indexes.ts";
import { migrate } from "@postrider/shared/store/migrate.ts";
import { ensureCurrentPartitions } from "@postrider/shared/store/partitions.ts";
import { SCHEMA_VERSION } from "@postrider/shared/store/schema-range.ts";
import { countHeldByReason } from "@postrider/shared/store/sql/count-held-by-reason.ts";
import type { TestDatabase } from "@postrider/testkit/servers/database.ts";
import { createTestDatabase } from "@postrider/testkit/vitest.ts";

/** The newest migration of the first release. */
const FIRST_RELEASE = 3;
const HELD = 50;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "postrider-migrations-"));
  cpSync("drizzle", folder, { recursive: true });
  const path = join(folder, "meta/_journal.json");
  const journal = JSON.parse(readFileSync(path, "utf8")) as { entries: { idx: number }[] };
  writeFileSync(
    path,
    JSON.stringify({ ...journal, entries: journal.entries.filter(({ idx }) => idx <= FIRST_RELEASE) }),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

let database: TestDatabase;
let pool: pg.Pool;
/** With open transactions. */
const readers: pg.PoolClient[] = [];
beforeEach(async () => {
  database = await createTestDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 12 });
  await pool.query("drop schema public cascade; create schema public");
  const migrations = { migrationsFolder: folder, migrationsTable: "postrider_migrations", migrationsSchema: "public" };
  await runMigrations(drizzle(pool), migrations);
  await ensureCurrentPartitions(pool);
  for (let n = 0; n < HELD; n += 1) await insert("held");
});
afterEach(async () => {
  await terminateMigration();
  for (const client of readers.splice(0)) client.release(true);
  await pool.end();
  await database.drop();
});

/** As the version before accepts an event. */
async function insert(state: "held" | "pending"): Promise<void> {
  const id = newId();
  await pool.query(
    `with key as (
       insert into idempotency_keys (tenant, key, body_hash, event_id, expires_at) values ('default', $3, '', $1, now())
     )
     insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, batch_id, held_reason, held_at)
     values ($1, $1, $1, 'default', 'a', $2, case when $2 = 'pending' then $1 end,
       case when $2 = 'held' then 'paused' end, case when $2 = 'held' then now() end)`,
    [id, state, id],
  );
}

/** Inserts until it is stopped. */
class Load {
  inserted = 0;
  readonly #stopped = new AbortController();
  readonly #writers = Array.from({ length: 3 }, async () => {
    while (!this.#stopped.signal.aborted) {
      await insert("pending");
      this.inserted += 1;
    }
  });

  async goesOn(): Promise<void> {
    const before = this.inserted;
    await expect.poll(() => this.inserted).toBeGreaterThan(before + 200);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#writers);
  }
}

/** Opens a transaction that reads a table, as a dump does. */
async function openTransaction(table: string): Promise<pg.PoolClient> {
  const client = await pool.connect();
  readers.push(client);
  await client.query(`begin isolation level repeatable read; select count(*) from ${table}`);
  return client;
}

const terminateMigration = () =>
  pool.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'postrider-migrate' and datname = current_database()",
  );

const isWaiting = (query: string) => async () =>
  (
    await pool.query(
      "select from pg_stat_activity where datname = current_database() and application_name = 'postrider-migrate' and wait_event_type = 'Lock' and query ilike $1",
      [`%${query}%`],
    )
  ).rowCount;

const expectMigrated = async () => {
  const { rows: incomplete } = await pool.query<{ name: string }>(
    "select indexrelid::regclass::text as name from pg_index where not indisvalid",
  );
  expect(incomplete).toEqual([]);
  const { rows } = await pool.query<{ name: string; comment: string }>(
    `select relname as name, obj_description(oid) as comment from pg_class where relkind = 'I' and relname = any ($1)`,
    [LATER_INDEXES.map(({ name }) => name)],
  );
  expect(new Map(rows.map(({ name, comment }) => [name, comment]))).toEqual(
    new Map(LATER_INDEXES.map(({ name, comment }) => [name, comment])),
  );
  const { rowCount } = await pool.query("select from pg_constraint where not convalidated");
  expect(rowCount).toBe(0);
  expect(await countHeldByReason(pool)).toEqual([{ reason: "paused", deliveries: HELD }]);
};

test(
  "a migration beside inserts and long transactions blocks the inserts only for moments",
  { timeout: 120_000 },
  async () => {
    const [keys, deliveries] = [await openTransaction("idempotency_keys"), await openTransaction("deliveries")];
    const load = new Load();
    try {
      const migrated = migrate(database.url);
      await expect.poll(isWaiting("idempotency_keys"), { interval: 50 }).toBe(1);
      await load.goesOn();
      await keys.query("commit");
      await expect.poll(isWaiting("create index concurrently")).toBe(1);
      await load.goesOn();
      await deliveries.query("commit");
      expect(await migrated).toMatchObject({ applied: SCHEMA_VERSION - 3 });
      await load.goesOn();
    } finally {
      await load.stop();
    }
    await expectMigrated();
  },
);

test("an interrupted build of indexes goes on, with two processes at once", { timeout: 120_000 }, async () => {
  const reader = await openTransaction("deliveries");
  const interrupted = migrate(database.url).catch((error: Error) => error.message);
  await expect.poll(isWaiting("create index concurrently")).toBe(1);
  await terminateMigration();
  expect(await interrupted).toMatch(/terminat/);
  const { rowCount } = await pool.query("select from pg_index where not indisvalid and indrelid in (select inhrelid from pg_inherits)"); // prettier-ignore
  expect(rowCount).toBe(1);
  await reader.query("commit");
  const both = await Promise.all([migrate(database.url), migrate(database.url)]);
  expect(both.map(({ applied }) => applied)).toEqual([0, 0]);
  expect(both.filter(({ indexes }) => indexes.length > 0)).toHaveLength(1);
  await expectMigrated();
});
