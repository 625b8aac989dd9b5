import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { checkDatabase } from "@postrider/shared/runtime/process/infrastructure.ts";
import { Clock, refuseWrongClock } from "@postrider/shared/runtime/clock.ts";
import { readClock } from "@postrider/shared/store/sql/read-clock.ts";
import { refuseWrongKey } from "@postrider/shared/store/encryption-key.ts";
import { createSecretBox } from "@postrider/shared/store/secret-box.ts";

let world: World;
beforeAll(async () => {
  world = await createTestWorld();
});
afterAll(() => world.close());

test("a process whose clock is more than a minute off Postgres's refuses to start, in either direction", async () => {
  const { pool } = world.context;
  const machine = (offMs: number) => new Clock(() => Date.now() + offMs);
  await refuseWrongClock(pool, machine(0));
  await refuseWrongClock(pool, machine(50_000));
  for (const offMs of [70_000, -70_000]) {
    await expect(refuseWrongClock(pool, machine(offMs))).rejects.toThrow(/clock is -?(69|70|71) s off/);
  }
});

test("a process takes its time from Postgres, wherever the machine's clock jumps", async () => {
  const { pool } = world.context;
  let offMs = 50_000;
  const clock = new Clock(() => Date.now() + offMs);
  await clock.synchronize(pool);
  const expectPostgresTime = async () => {
    const before = await readClock(pool);
    const time = clock.now();
    const after = await readClock(pool);
    // The first measurement is as precise as its response was fast.
    expect(time).toBeGreaterThan(before - 5_000);
    expect(time).toBeLessThan(after + 5_000);
  };
  await expectPostgresTime();
  for (offMs of [-3_600_000, 2 * 86_400_000]) {
    await expectPostgresTime();
    expect(clock.isRight).toBe(false);
    await clock.synchronize(pool);
    await expectPostgresTime();
  }
  offMs = 0;
  expect(clock.isRight).toBe(true);
});

test("a process whose key does not open the secrets in the database refuses to start", async () => {
  const { pool } = world.context;
  const wrong = createSecretBox([randomBytes(32)]);
  await refuseWrongKey(pool, wrong);
  await world.subscribe();
  await expect(refuseWrongKey(pool, wrong)).rejects.toThrow(/ENCRYPTION_KEY does not open the secrets/);
  await refuseWrongKey(pool, createSecretBox(world.settings.encryptionKeys));
});

test("a process whose schema no longer serves it refuses to start", async () => {
  const { context, settings } = world;
  await context.pool.query("insert into schema_versions (version, serves) values (1000, 1000)");
  await expect(checkDatabase(context, settings)).rejects.toThrow(/the database's schema is version 1000/);
  await context.pool.query("delete from schema_versions where version = 1000");
  await checkDatabase(context, settings);
});
