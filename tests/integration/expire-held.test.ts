import { afterAll, beforeAll, expect, test } from "vitest";
import { retryDelivery } from "@postrider/shared/runtime/retry-delivery.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { expireHeld } from "../../apps/worker/src/upkeep/expire-held.ts";

let world: World;
beforeAll(async () => {
  world = await createTestWorld({ HOLD_LIMIT: "1s", BREAKER_COOLDOWN: "500ms" });
});
afterAll(() => world.close());

test("a delivery held for longer than HOLD_LIMIT becomes an expired dead letter, also on the board, and can be retried", async () => {
  const { pool, queues } = world.context;
  await world.subscribe({ status: "paused" });
  await world.accept({}, {});
  await pool.query(
    "update deliveries set state = 'held', held_reason = 'paused', held_at = now() + interval '1 hour', batch_id = null",
  );
  const [first] = await world.rows();
  await pool.query("update deliveries set held_at = now() where id = $1", [first!.id]);
  expect(await expireHeld(world.context)).toBe(0);
  await expect.poll(() => expireHeld(world.context)).toBe(1);
  expect(await expireHeld(world.context)).toBe(0);
  expect((await world.rows()).map(({ state }) => state).sort((a, b) => a.localeCompare(b))).toEqual(["dead", "held"]);
  expect((await world.rows())[0]).toMatchObject({
    dead_reason: "expired",
    last_error: "held for longer than HOLD_LIMIT",
  });
  expect(await queues.retry.count()).toBe(0);
  const [shown] = await queues.deadLetters.getJobs(["waiting"]);
  expect(shown?.data).toEqual({ delivery: first!.id, cycle: 0, error: "expired: held for longer than HOLD_LIMIT" });
  await pool.query("update subscriptions set status = 'active'");
  expect(await retryDelivery(world.context, first!.id)).toEqual({ kind: "retrying", cycle: 1 });
  expect(await queues.deadLetters.count()).toBe(0);
});
