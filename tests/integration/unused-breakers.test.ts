import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { readFleetState } from "@postrider/shared/runtime/fleet/fleet-state.ts";
import type { Subscription } from "../../apps/worker/src/delivery.ts";
import { disableSubscription } from "../../apps/worker/src/deliver/disable-subscription.ts";
import { resetUnusedBreakers } from "../../apps/worker/src/upkeep/reset-unused-breakers.ts";

let world: World;
beforeAll(async () => {
  world = await createTestWorld({ BREAKER_COOLDOWN: "50ms", BREAKER_RECENT_SUCCESS: "0ms", DISABLE_AFTER: "1h" });
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.context.pool.query("truncate subscriptions, subscription_patterns");
  await world.context.redis.flushdb();
});

const failure = {
  kind: "failure",
  sentAgoMs: 0,
  isProbe: false,
  countsForPace: true,
  isWaiting: false,
  lastSuccessAgoMs: undefined,
  refused: undefined,
  retryAfterMs: 0,
} as const;

/** A subscription whose breaker is open, or half open while it is probed. */
async function failing(state: "open" | "half_open" = "open"): Promise<string> {
  const { breakers } = world.context;
  const id = await world.subscribe();
  for (let n = 0; n < 5; n += 1) await breakers.apply(id, failure);
  if (state === "half_open") {
    await waitFor("it is probed", async () => (await breakers.apply(id, { kind: "probe", leaseMs: 60_000 })).changed);
  }
  return id;
}
const counted = async () => (await readFleetState(world.context, Date.now())).breakers;
const change = (id: string, set: string) =>
  world.context.pool.query(`update subscriptions set ${set} where id = $1`, [id]);

test.each(["open", "half_open"] as const)(
  "a disabled subscription whose breaker was %s is not counted",
  async (state) => {
    const [gone] = [await failing(state), await failing(state)];
    expect(await counted()).toEqual({ open: 0, half_open: 0, [state]: 2 });
    const loaded = (await world.context.loadSubscribers([gone], Date.now())).get(gone)!.subscription as Subscription;
    await disableSubscription(world.context, loaded, "gone");
    expect(await counted()).toEqual({ open: 0, half_open: 0, [state]: 1 });
    expect(await world.context.breakers.read([gone])).toMatchObject([{ state: "closed", failures: 0 }]);
  },
);

test("a subscription that is disabled because it fails is not counted", async () => {
  const id = await failing();
  await change(id, "failing_since = now() - interval '2 hours', last_failure_at = now() - interval '1 second'");
  world.context.subscriptionHealth.opened(id);
  await waitFor("its breaker is closed", async () => (await counted())?.open === 0);
  const { rows } = await world.context.pool.query("select status, disabled_reason as reason from subscriptions");
  expect(rows).toEqual([{ status: "disabled", reason: "failing" }]);
});

test("breakers that opened again, or were left while Redis was away, are reset; those in use stay", async () => {
  await failing();
  const paused = await failing("half_open");
  await change(paused, "status = 'paused'");
  await change(await failing(), "status = 'disabled', disabled_reason = 'gone'");
  await change(await failing("half_open"), "deleted_at = now()");
  await world.context.pool.query("delete from subscriptions where id = $1", [await failing()]);
  expect(await counted()).toEqual({ open: 3, half_open: 2 });
  expect(await resetUnusedBreakers(world.context)).toBe(3);
  expect(await counted()).toEqual({ open: 1, half_open: 1 });
  expect(await resetUnusedBreakers(world.context)).toBe(0);
});
