import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import { patience, waitFor } from "@postrider/testkit/wait.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import type { Lane } from "../../apps/worker/src/lanes/lane.ts";
import { startControlLane } from "../../apps/worker/src/lanes/control-lane.ts";

const STUCK = 600;
/** Within seconds, even on a busy machine; a turn of a place is 30 s. */
const SOON_MS = 20_000;

let world: World;
let lane: Lane;
beforeAll(async () => {
  world = await createTestWorld();
  lane = startControlLane(world.context);
});
afterAll(async () => {
  await lane.stop();
  await world.close();
});

/** Subscribes, and holds the deliveries of one event. @returns the subscriptions */
async function hold(tenant: string, count: number, events: number): Promise<string[]> {
  const subscriptions: string[] = [];
  while (subscriptions.length < count) {
    const more = Array.from({ length: Math.min(100, count - subscriptions.length) }, () => world.subscribe({ tenant }));
    subscriptions.push(...(await Promise.all(more)));
  }
  await world.accept(...Array.from({ length: events }, () => ({ tenant })));
  await world.context.pool.query(
    "update deliveries set state = 'held', held_reason = 'share', held_at = now(), batch_id = null where state = 'pending' and tenant = $1",
    [tenant],
  );
  return subscriptions;
}

const released = async (tenant: string) => {
  const text =
    "select count(distinct subscription_id)::int as n from deliveries where state = 'pending' and tenant = $1";
  return (await world.context.pool.query<{ n: number }>(text, [tenant])).rows[0]!.n;
};

test("a new subscription's delivery is released soon beside hundreds of releases that are stuck", async () => {
  // Nothing takes what they release, as if their receivers hung.
  await world.context.enqueue.release(await hold("stuck", STUCK, 5));
  await waitFor("the first ones are stuck", async () => (await released("stuck")) >= 200);
  const [subscription] = await hold("new", 1, 1);
  await world.context.enqueue.release([subscription!]);
  await expect.poll(() => released("new"), { timeout: patience(SOON_MS) }).toBe(1);
  await waitFor("all are served", async () => (await released("stuck")) === STUCK);
});
