import { readFileSync } from "node:fs";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { migrate } from "@postrider/shared/store/migrate.ts";
import { refuseOtherSchema, SCHEMA_VERSION } from "@postrider/shared/store/schema-range.ts";
import type { TestDatabase } from "@postrider/testkit/servers/database.ts";
import { createTestDatabase } from "@postrider/testkit/vitest.ts";
import { withClient } from "../../scripts/services/index.ts";

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database?.drop());

const noteMigration = (createdAt: number) =>
  withClient(database.url, (client) =>
    client.query("insert into postrider_migrations (hash, created_at) values ('test', $1)", [createdAt]),
  );

test("a migrated database is migrated again without change", async () => {
  expect(await migrate(database.url)).toMatchObject({ applied: 0 });
});

test("a database of an earlier development version is refused with what to do, and nothing in it changes", async () => {
  await withClient(database.url, (client) => client.query("delete from postrider_migrations"));
  await noteMigration(1_795_381_877_645);
  await expect(migrate(database.url)).rejects.toThrow(/earlier development version.*npm run reset/);
  const applied = await withClient(database.url, (client) => client.query("select from postrider_migrations"));
  expect(applied.rowCount).toBe(1);
});

test("a database that a later version has migrated is left as it is, as after a rollback", async () => {
  await noteMigration(Date.UTC(2100));
  expect(await migrate(database.url)).toMatchObject({ applied: 0 });
});

describe("a process refuses a schema that it can't run on", () => {
  const check = async () => {
    const pool = new pg.Pool({ connectionString: database.url, max: 1 });
    try {
      await refuseOtherSchema(pool);
    } finally {
      await pool.end();
    }
  };
  const run = (sql: string) => withClient(database.url, (client) => client.query(sql));
  const addVersion = (version: number, serves: number) =>
    run(`insert into schema_versions (version, serves) values (${version}, ${serves})`);

  test("it runs on its own schema, and beside a newer fleet on a newer one that serves it", async () => {
    await check();
    await addVersion(SCHEMA_VERSION + 1, SCHEMA_VERSION - 1);
    await check();
    await addVersion(SCHEMA_VERSION + 2, SCHEMA_VERSION);
    await check();
  });

  test("a newer schema that no longer serves it, also if a later migration would", async () => {
    await addVersion(SCHEMA_VERSION + 1, SCHEMA_VERSION + 1);
    await addVersion(SCHEMA_VERSION + 2, SCHEMA_VERSION);
    const versions = `version ${SCHEMA_VERSION + 2}, which serves code that knows version ${SCHEMA_VERSION + 1} or newer`;
    await expect(check()).rejects.toThrow(versions);
  });

  test("an older schema, with the command that migrates it", async () => {
    await run(`delete from schema_versions where version = ${SCHEMA_VERSION}`);
    const reason = `version ${SCHEMA_VERSION - 1}, and this code needs version ${SCHEMA_VERSION}: run \`npm run migrate\``;
    await expect(check()).rejects.toThrow(reason);
    await run("delete from schema_versions");
    await expect(check()).rejects.toThrow(/older.*npm run migrate/);
    await run("drop table schema_versions");
    await expect(check()).rejects.toThrow(/older.*npm run migrate/);
  });

  test("every migration from 3 on names the oldest code that it serves", async () => {
    const journal = JSON.parse(readFileSync("drizzle/meta/_journal.json", "utf8")) as { entries: { idx: number }[] };
    const named = await withClient(database.url, (client) =>
      client.query<{ version: number }>("select version from schema_versions order by version"),
    );
    const migrations = journal.entries.map(({ idx }) => idx).filter((idx) => idx >= 3);
    expect(named.rows.map(({ version }) => version)).toEqual(migrations);
  });
});
