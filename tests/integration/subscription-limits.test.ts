import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { publishLimits, readLimits, removeLimits } from "@postrider/shared/runtime/fleet/limits.ts";
import { recordHeartbeat } from "@postrider/shared/runtime/fleet/roster.ts";
import { limitsKey, WORKERS_KEY } from "@postrider/shared/queue/keys.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { readHeld } from "@postrider/shared/store/sql/read-held.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";

let world: World;
let subscription: string;
beforeAll(async () => {
  world = await createTestWorld();
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.context.redis.del(WORKERS_KEY);
  subscription = newId();
});

async function newWorker(): Promise<string> {
  const id = randomUUID();
  const worker = { host: "here", pid: 1, adminPort: 1, slots: 256, inFlight: 0, startedAt: 1, seenAt: Date.now() };
  await recordHeartbeat(world.context.redis, id, worker);
  return id;
}
const limited = (max: number, over: { subscription?: string; waiting?: number } = {}) => ({
  subscription,
  because: "trial" as const,
  max,
  ratePerSecond: null,
  waiting: 1,
  ...over,
});
const read = async () => (await readLimits(world.context.redis, [subscription])).get(subscription);

test("of a subscription that several workers limit, the lowest limit is read", async () => {
  const { redis } = world.context;
  const [a, b] = [await newWorker(), await newWorker()];
  await publishLimits(redis, a, [limited(4)]);
  expect(await read()).toEqual({ because: "trial", max: 4, ratePerSecond: null });
  await publishLimits(redis, b, [limited(2)]);
  expect(await read()).toMatchObject({ max: 2 });
  await publishLimits(redis, b, []);
  expect(await read()).toMatchObject({ max: 4 });
  await removeLimits(redis, a);
  expect(await read()).toBeUndefined();
});

test("a worker publishes the thousand limited subscriptions with most requests waiting", async () => {
  const { redis } = world.context;
  const worker = await newWorker();
  const others = Array.from({ length: 1_200 }, (_, waiting) => limited(1, { subscription: newId(), waiting }));
  await publishLimits(redis, worker, [limited(3, { waiting: 5_000 }), ...others]);
  expect(await redis.hlen(limitsKey(worker))).toBe(1_000);
  expect(await read()).toMatchObject({ max: 3 });
});

test("the limits of a worker that died are forgotten", async () => {
  const { redis } = world.context;
  const worker = await newWorker();
  await publishLimits(redis, worker, [limited(3)]);
  const expiresInMs = await redis.pttl(limitsKey(worker));
  expect(expiresInMs).toBeGreaterThan(0);
  expect(expiresInMs).toBeLessThanOrEqual(30_000);
});

const HELD = 10_050;

test("held deliveries of a subscription are counted, however many there are", async () => {
  const { pool } = world.context;
  subscription = await world.subscribe();
  await world.accept({});
  await pool.query(
    `insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, held_reason, held_at)
     select (left(d.id::text, 24) || lpad(to_hex(n), 12, '0'))::uuid, d.event_id, d.subscription_id, d.tenant,
       d.event_type, 'held', 'breaker', now() - n * interval '1 second'
     from deliveries d, generate_series(1, $1::int) n`,
    [HELD],
  );
  const [row, ...others] = await readHeld(pool, [subscription, newId()]);
  expect(others).toEqual([]);
  expect(row).toMatchObject({ subscriptionId: subscription, reason: "breaker", count: HELD });
  expect(Date.now() - Number(row!.oldestAt)).toBeGreaterThanOrEqual((HELD - 1) * 1_000);
});
