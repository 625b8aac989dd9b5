import { globSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TestDatabase } from "@postrider/testkit/servers/database.ts";
import { createTestDatabase } from "@postrider/testkit/vitest.ts";
import { excess, explainCalls } from "../../bench/suites/large-tables/explain.ts";
import { takeSamples } from "../../bench/suites/large-tables/sample.ts";
import { seedLargeTables } from "../../bench/suites/large-tables/seed.ts";
import { callsOn } from "../../bench/suites/large-tables/statements.ts";
import { type Database, openDatabase } from "../../bench/support/database.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const DELIVERIES = 30_000;

/**
 * Statements on a row by its key, on tables that stay small, or on a page of subscriptions; and the two that count all
 * that is held, once an hour and of a day that is dropped.
 */
const OMITTED = [
  "claim-reconciliation.ts",
  "correct-held-counts.ts",
  "count-older-processes.ts",
  "count-subscriptions.ts",
  "delivery-row.ts",
  "disable-subscription.ts",
  "end-older-support.ts",
  "end-oldest-expansion.ts",
  "find-answer.ts",
  "find-api-keys.ts",
  "find-delivery.ts",
  "find-expanding-tenants.ts",
  "find-in-use.ts",
  "find-other-sealing-keys.ts",
  "find-plain-headers.ts",
  "find-still-expanding.ts",
  "is-session-revoked.ts",
  "list-sealed-answers.ts",
  "list-sealed.ts",
  "lock-subscriptions.ts",
  "matching.ts",
  "read-clock.ts",
  "read-expansions.ts",
  "read-postgres-usage.ts",
  "read-schema-version.ts",
  "read-session.ts",
  "read-settled-time.ts",
  "read-subscription-limits.ts",
  "record-health.ts",
  "remove-expired-keys.ts",
  "replace-answers.ts",
  "replace-sealed.ts",
  "revoke-session.ts",
  "store-answer.ts",
  "uncount-held.ts",
  "write-expansion-page.ts",
];

let owned: TestDatabase;
let database: Database;
beforeAll(async () => {
  owned = await createTestDatabase();
  database = await openDatabase(owned.url);
  await seedLargeTables(database, DELIVERIES, () => undefined);
});
afterAll(async () => {
  await database.close();
  await owned.drop();
});

test("no statement reads more pages than it may, with deliveries of thirty days", async () => {
  const explained = await explainCalls(owned.url, callsOn(await takeSamples(database)));
  for (const { name, buffers } of explained) expect(buffers, name).toBeGreaterThan(0);
  expect(excess(explained)).toEqual([]);
});

test("the benchmark of large tables has every statement whose cost could grow with them", () => {
  const statements = readFileSync(resolve(ROOT, "bench/suites/large-tables/statements.ts"), "utf8");
  const modules = globSync("*.ts", { cwd: resolve(ROOT, "packages/shared/src/store/sql") });
  const missing = modules.filter((module) => !module.endsWith(".test.ts") && !statements.includes(`/sql/${module}"`));
  expect(missing.toSorted()).toEqual(OMITTED);
});
