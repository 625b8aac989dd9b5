import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createBreakers } from "@postrider/shared/breaker/breakers.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { createBreakerReports, type BreakerReports } from "../../apps/worker/src/isolation/breaker-reports.ts";

const THRESHOLD = 3;

let world: World;
/** Another worker. */
let elsewhere: BreakerReports;
let subscription: string;
beforeAll(async () => {
  world = await createTestWorld({ BREAKER_THRESHOLD: String(THRESHOLD), BREAKER_COOLDOWN: "1h" });
  elsewhere = createBreakerReports(
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
const fail = (breakerReports: BreakerReports, generation: number) =>
  breakerReports.report({ ...sent(generation), outcome: { kind: "retryable", retryAfterMs: undefined } });
const succeed = (breakerReports: BreakerReports, generation: number, beganAt?: number) =>
  breakerReports.report({ ...sent(generation, beganAt), wasFailing: true, outcome: { kind: "delivered" } });
const open = async (breakerReports: BreakerReports, generation: number) => {
  for (let failed = 0; failed < THRESHOLD; failed += 1) await fail(breakerReports, generation);
};
const look = async (breakerReports: BreakerReports) => (await breakerReports.read([subscription])).get(subscription)!;

test("a delivery read before the breaker opened and closed again is sent in the current generation", async () => {
  const { breakerReports } = world.context;
  const { generation } = await look(breakerReports);
  await open(elsewhere, generation);
  expect(breakerReports.currentGeneration(subscription, generation)).toBe(generation);
  await look(breakerReports);
  expect(breakerReports.currentGeneration(subscription, generation)).toBeUndefined();
  await succeed(elsewhere, generation);
  expect((await look(breakerReports)).state).toBe("closed");
  const now = breakerReports.currentGeneration(subscription, generation)!;
  expect(now).toBe(generation + 2);

  await open(breakerReports, now);
  expect((await look(breakerReports)).state).toBe("open");
});

test("a breaker that Redis has lost starts closed", async () => {
  const { breakerReports, redis } = world.context;
  await open(breakerReports, 0);
  await succeed(breakerReports, 0);
  expect(breakerReports.currentGeneration(subscription, 0)).toBe(2);
  await redis.flushdb();
  await look(breakerReports);
  expect(breakerReports.currentGeneration(subscription, 0)).toBe(0);
});

test("a stale success does not replace a current one", async () => {
  const { breakerReports } = world.context;
  await open(elsewhere, 0);
  await succeed(elsewhere, 0);
  await fail(elsewhere, 2);
  await breakerReports.report({ ...sent(2), outcome: { kind: "delivered" } });
  await breakerReports.report({ ...sent(0), outcome: { kind: "delivered" } });
  expect((await look(elsewhere)).failures).toBe(1);
  await expect.poll(async () => (await look(elsewhere)).failures).toBe(0);
});

test("a late success that closes the breaker ends the outage of its subscription", async () => {
  subscription = await world.subscribe();
  const { breakerReports, pool } = world.context;
  const failingSince = async () => {
    const { rows } = await pool.query<{ failing_since: Date | null }>(
      "select failing_since from subscriptions where id = $1",
      [subscription],
    );
    return rows[0]!.failing_since;
  };
  for (let generation = 0; generation < 40; generation += 2) {
    await open(breakerReports, generation);
    await succeed(breakerReports, generation);
  }
  await expect.poll(failingSince).toBeNull();
  await open(breakerReports, 40);
  await expect.poll(failingSince).not.toBeNull();
});
