import { afterEach, beforeEach, expect, test } from "vitest";
import { migrate } from "@postrider/shared/store/migrate.ts";
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
