import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createBreakers } from "@postrider/shared/breaker/breakers.ts";
import { newId } from "@postrider/shared/ids.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { createSubscriberHealth, type SubscriberHealth } from "../../apps/worker/src/subscriber-health.ts";

const THRESHOLD = 3;

let world: World;
/** Another worker. */
let elsewhere: SubscriberHealth;
let subscription: string;
beforeAll(async () => {
  world = await createTestWorld({ BREAKER_THRESHOLD: String(THRESHOLD), BREAKER_COOLDOWN: "1h" });
  elsewhere = createSubscriberHealth(
    createBreakers(world.context.redis, { threshold: THRESHOLD, cooldownMs: 3_600_000 }),
    () => undefined,
  );
});
afterAll(() => world.close());
beforeEach(() => {
  subscription = newId();
});

const sent = (generation: number, beganAt = performance.now()) => ({
  subscriptionId: subscription,
  generation,
  isProbe: false,
  beganAt,
  wasFailing: false,
});
const fail = (health: SubscriberHealth, generation: number) =>
  health.report({ ...sent(generation), outcome: { kind: "retryable", retryAfterMs: undefined } });
const succeed = (health: SubscriberHealth, generation: number, beganAt?: number) =>
  health.report({ ...sent(generation, beganAt), wasFailing: true, outcome: { kind: "delivered" } });
const open = async (health: SubscriberHealth, generation: number) => {
  for (let failed = 0; failed < THRESHOLD; failed += 1) await fail(health, generation);
};
const look = async (health: SubscriberHealth) => (await health.read([subscription])).get(subscription)!;

test("a delivery read before the breaker opened and closed again is sent in the current generation", async () => {
  const { health } = world.context;
  const { generation } = await look(health);
  await open(elsewhere, generation);
  expect(health.generationNow(subscription, generation)).toBe(generation);
  await look(health);
  expect(health.generationNow(subscription, generation)).toBeUndefined();
  await succeed(elsewhere, generation);
  expect((await look(health)).state).toBe("closed");
  const now = health.generationNow(subscription, generation)!;
  expect(now).toBe(generation + 2);

  await open(health, now);
  expect((await look(health)).state).toBe("open");
});

test("a breaker that Redis has lost starts closed", async () => {
  const { health, redis } = world.context;
  await open(health, 0);
  await succeed(health, 0);
  expect(health.generationNow(subscription, 0)).toBe(2);
  await redis.flushdb();
  await look(health);
  expect(health.generationNow(subscription, 0)).toBe(0);
});

test("a stale success does not replace a current one", async () => {
  const { health } = world.context;
  await open(elsewhere, 0);
  await succeed(elsewhere, 0);
  await fail(elsewhere, 2);
  await health.report({ ...sent(2), outcome: { kind: "delivered" } });
  await health.report({ ...sent(0), outcome: { kind: "delivered" } });
  expect((await look(elsewhere)).failures).toBe(1);
  await expect.poll(async () => (await look(elsewhere)).failures).toBe(0);
});

test("a late success that closes the breaker ends the outage of its subscription", async () => {
  subscription = await world.subscribe();
  const { health, pool } = world.context;
  const failingSince = async () => {
    const { rows } = await pool.query<{ failing_since: Date | null }>(
      "select failing_since from subscriptions where id = $1",
      [subscription],
    );
    return rows[0]!.failing_since;
  };
  for (let generation = 0; generation < 40; generation += 2) {
    await open(health, generation);
    await succeed(health, generation);
  }
  await expect.poll(failingSince).toBeNull();
  await open(health, 40);
  await expect.poll(failingSince).not.toBeNull();
});
