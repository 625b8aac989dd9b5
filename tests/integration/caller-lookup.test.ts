import { createHash, randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { createPool, type Pool } from "@postrider/shared/store/pool.ts";
import type { TestDatabase } from "@postrider/testkit/servers/database.ts";
import { type Forwarder, startForwarder } from "@postrider/testkit/servers/forwarder.ts";
import { createTestDatabase } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { createCallerLookup } from "../../apps/ingest/src/http/find-caller.ts";
import { withClient } from "../../scripts/services/index.ts";

let database: TestDatabase;
let forwarder: Forwarder;
let pool: Pool;
const [known, other] = [randomBytes(32), randomBytes(32)];

beforeAll(async () => {
  database = await createTestDatabase();
  forwarder = await startForwarder(database.url);
  pool = createPool(forwarder.through(database.url), "test", 5, createLogger("ingest", "silent"));
  await withClient(database.url, async (client) => {
    for (const hash of [known, other]) {
      const values = [randomUUID(), hash];
      await client.query(
        "insert into api_keys (id, name, hash, tenant, scopes) values ($1, 'k', $2, 't', '{read}')",
        values,
      );
    }
  });
});
afterAll(async () => {
  await forwarder?.close();
  await pool?.end();
  await database?.drop();
});

test("a statement that hangs keeps no other key waiting, and its own is refused before long", async () => {
  const find = createCallerLookup(pool);
  expect(await find(randomBytes(32))).toBeUndefined();
  forwarder.silence();
  const hanging = find(known);
  void hanging.catch(() => undefined);
  await waitFor("the statement is under way", () => pool.totalCount > pool.idleCount);
  const [refused, found] = await Promise.allSettled([hanging, find(other)]);
  expect(refused).toMatchObject({ status: "rejected", reason: { code: "database_unavailable" } });
  expect(found).toMatchObject({ status: "fulfilled", value: { tenant: "t" } });
  expect(await find(known)).toMatchObject({ tenant: "t" });
});

test("while no statement ends, a bounded number of keys wait, and for a bounded time", async () => {
  const find = createCallerLookup(pool);
  const keys = Array.from({ length: 10_010 }, (_, n) => createHash("sha256").update(String(n)).digest());
  forwarder.leadNowhere();
  forwarder.silence();
  const found = await Promise.allSettled(keys.map(find));
  const codes = found.map((one) => one.status === "rejected" && (one.reason as { code?: string }).code);
  expect(new Set(codes.slice(0, 10_000))).toEqual(new Set(["database_unavailable"]));
  expect(codes.at(-1)).toBe("overloaded");
  forwarder.leadTo(database.url);
  expect(await find(known)).toMatchObject({ tenant: "t" });
});
