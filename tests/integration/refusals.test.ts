import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { refuseWrongClock } from "@postrider/shared/store/clock.ts";
import { refuseWrongKey } from "@postrider/shared/store/encryption-key.ts";
import { createSecretBox } from "@postrider/shared/store/secret-box.ts";

let world: World;
beforeAll(async () => {
  world = await createTestWorld();
});
afterAll(() => world.close());

test("a process whose clock is more than a minute off Postgres's refuses to start, in either direction", async () => {
  const { pool } = world.context;
  await refuseWrongClock(pool, Date.now);
  await refuseWrongClock(pool, () => Date.now() + 50_000);
  for (const offMs of [70_000, -70_000]) {
    await expect(refuseWrongClock(pool, () => Date.now() + offMs)).rejects.toThrow(/clock is -?(69|70|71) s off/);
  }
});

test("a process whose key does not open the secrets in the database refuses to start", async () => {
  const { pool } = world.context;
  const wrong = createSecretBox(randomBytes(32));
  await refuseWrongKey(pool, wrong);
  await world.subscribe();
  await expect(refuseWrongKey(pool, wrong)).rejects.toThrow(/ENCRYPTION_KEY does not open the secrets/);
  await refuseWrongKey(pool, createSecretBox(world.settings.encryptionKey));
});
