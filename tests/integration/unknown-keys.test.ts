import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { secretOwner } from "@postrider/shared/store/seal-owners.ts";
import { createSecretBox } from "@postrider/shared/store/secret-box.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { whileLanesRun } from "./run-lanes.ts";

let world: World;
beforeAll(async () => {
  world = await createTestWorld();
});
afterAll(() => world.close());

test("deliveries whose secret is sealed under a key that the worker lacks wait, and no attempt is spent", async () => {
  const { context } = world;
  const id = await world.subscribe();
  const sealed = createSecretBox([randomBytes(32)]).seal(randomBytes(32), secretOwner(id));
  await context.pool.query("update subscriptions set secrets = $1", [JSON.stringify([{ ...sealed, expiresAt: null }])]);
  await world.accept({});
  await whileLanesRun(context, async () => {
    await context.enqueue.dispatch(world.batches.splice(0));
    await waitFor("it is postponed", async () => (await world.rows())[0]!.state === "retrying");
  });
  expect(await world.rows()).toMatchObject([
    { state: "retrying", attempt_count: 0, schedule_step: 0, last_error: expect.stringMatching(/lack a key/) },
  ]);
});
