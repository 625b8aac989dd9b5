import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { createDb, createPool, transaction, withConnection, type TrackedPool } from "@postrider/shared/store/pool.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";

let world: World;
let pool: TrackedPool;
beforeAll(async () => {
  world = await createTestWorld();
});
beforeEach(() => {
  pool = createPool(world.settings.databaseUrl, "test", 1, createLogger("test", "silent"));
  return () => pool.end();
});
afterAll(() => world.close());

const backend = async () => (await pool.query<{ pid: number }>("select pg_backend_pid() as pid")).rows[0]!.pid;

test("a transaction whose connection breaks before it has begun leaves its place in the pool to others", async () => {
  pool.once("acquire", () => {
    for (const socket of pool.sockets) socket.destroy();
  });
  await expect(transaction(createDb(pool), () => Promise.resolve())).rejects.toThrow();
  expect(await backend()).toBeGreaterThan(0);
});

test("a connection with an open transaction does not return to the pool", async () => {
  const before = await backend();
  const work = withConnection(pool, async (client) => {
    await client.query("begin");
    throw new Error("no answer to the next statement");
  });
  await expect(work).rejects.toThrow("no answer");
  expect(await backend()).not.toBe(before);
});

test("a transaction that was rolled back keeps its connection", async () => {
  const before = await backend();
  const refused = transaction(createDb(pool), () => Promise.reject(new Error("not found")));
  await expect(refused).rejects.toThrow("not found");
  expect(await backend()).toBe(before);
});
