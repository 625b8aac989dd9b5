import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import { type Receiver, startReceiver } from "@postrider/testkit/receiver/receiver.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { probe } from "../../apps/worker/src/release/probe.ts";
import { pollReleased } from "../../apps/worker/src/release/poll-released.ts";
import { releaseLongestHeld } from "../../apps/worker/src/release/release-longest-held.ts";

const lease = { signal: new AbortController().signal, isHeld: () => true };

let world: World;
let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver();
  world = await createTestWorld({ BREAKER_COOLDOWN: "50ms", BREAKER_THRESHOLD: "1", ALLOWED_NETWORKS: "127.0.0.0/8" });
});
beforeEach(() =>
  world.context.pool.query("truncate deliveries, events, attempts, subscriptions, subscription_patterns"),
);
afterAll(async () => {
  await world.close();
  await receiver.close();
});

/** Deliveries that are held since an hour ago. */
async function hold(count: number): Promise<string[]> {
  await world.accept(...Array.from({ length: count }, () => ({})));
  await world.context.pool.query(
    "update deliveries set state = 'held', held_reason = 'breaker', held_at = now() - interval '1 hour', batch_id = null",
  );
  return (await world.rows()).map(({ id }) => id);
}

async function open(subscription: string): Promise<void> {
  const { breakerReports } = world.context;
  await breakerReports.report({
    subscriptionId: subscription,
    deliveryId: newId(),
    trigger: "auto",
    sentAt: performance.now(),
    outcome: { kind: "retryable", retryAfterMs: undefined },
    responseStatus: 500,
    isWaiting: false,
  });
}

const isDue = async (subscription: string) => {
  const breaker = (await world.context.breakerReports.read([{ id: subscription, isFailing: true }])).get(subscription)!;
  return breaker.now >= breaker.until;
};

test("the oldest held deliveries are released first, in batches of maxInFlight", async () => {
  const subscription = await world.subscribe();
  const held = await hold(10);
  const released = await releaseLongestHeld(world.context, subscription, 5, 2);
  expect(released.toSorted()).toEqual(held.slice(0, 5));
  const batches = Map.groupBy(await world.rows(), ({ batch_id }) => batch_id);
  expect([...batches.values()].map((rows) => rows.length).toSorted((a, b) => a - b)).toEqual([1, 2, 2, 5]);
  for (const batch of batches.keys()) {
    if (batch !== null) expect(await world.context.queues.dispatch.getJobState(batch)).not.toBe("unknown");
  }
});

test("a delivery that failed and was held again is released after deliveries that are held for longer", async () => {
  const subscription = await world.subscribe();
  const [older, ...others] = await hold(4);
  await world.context.pool.query("update deliveries set held_at = now(), attempt_count = 1 where id = $1", [older]);
  expect((await releaseLongestHeld(world.context, subscription, 3, 32)).toSorted()).toEqual(others);
  expect(await releaseLongestHeld(world.context, subscription, 3, 32)).toEqual([older]);
});

test("a delivery that is released and held again without an attempt counts as held since it was held first", async () => {
  const { pool, recorder } = world.context;
  const subscription = await world.subscribe();
  await hold(1);
  const [before] = (await pool.query("select held_at from deliveries")).rows;
  await releaseLongestHeld(world.context, subscription, 1, 32);
  const [delivery] = await world.load();
  await recorder.record({ delivery: delivery!, transition: { state: "held", reason: "max_in_flight" }, attempt: undefined, scheduleStep: 0, lastError: null }); // prettier-ignore
  expect((await pool.query("select held_at, held_reason from deliveries")).rows).toEqual([{ ...before, held_reason: "max_in_flight" }]); // prettier-ignore
});

test("released deliveries are counted as completed, as held again, or as on their way", async () => {
  const { pool } = world.context;
  const subscription = await world.subscribe();
  await hold(4);
  const released = new Set(await releaseLongestHeld(world.context, subscription, 4, 32));
  const ids = [...released];
  await pool.query("update deliveries set state = 'delivered', batch_id = null, settled_at = now() where id = any ($1::uuid[])", [ids.slice(0, 2)]); // prettier-ignore
  await pool.query("update deliveries set state = 'held', held_reason = 'max_in_flight', batch_id = null where id = $1", [ids[2]]); // prettier-ignore
  expect(await pollReleased(pool, released)).toEqual({ completed: 2, reheld: 1 });
  expect([...released]).toEqual([ids[3]]);
});

test("each probe takes the delivery that was probed longest ago, and a failed probe spends no step of its schedule", async () => {
  const endpoint = receiver.endpoint(answer(500));
  const subscription = await world.subscribe({ url: endpoint.url });
  await hold(3);
  const since = (await world.context.pool.query("select distinct held_at from deliveries")).rows;
  await open(subscription);
  for (let probed = 0; probed < 6; probed += 1) {
    await expect.poll(() => isDue(subscription)).toBe(true);
    expect(await probe(world.context, subscription, lease)).toBe(true);
  }
  expect(endpoint.requests).toHaveLength(6);
  for (const row of await world.rows()) {
    expect(row).toMatchObject({ state: "held", held_reason: "breaker", attempt_count: 2, schedule_step: 0 });
  }
  expect((await world.context.pool.query("select distinct held_at from deliveries")).rows).toEqual(since);
  expect((await world.context.pool.query("select distinct trigger from attempts")).rows).toEqual([{ trigger: "probe" }]); // prettier-ignore
});

test("a probe prefers a delivery that has not failed yet", async () => {
  const endpoint = receiver.endpoint(answer(500));
  const subscription = await world.subscribe({ url: endpoint.url });
  const [, , never] = await hold(4);
  await world.context.pool.query("update deliveries set attempt_count = 1 where id < $1", [never]);
  await open(subscription);
  await expect.poll(() => isDue(subscription)).toBe(true);
  await probe(world.context, subscription, lease);
  expect((await world.context.pool.query("select delivery_id as id from attempts")).rows).toEqual([{ id: never }]);
});

test("a delivery whose probe killed its worker is not probed next", async () => {
  const endpoint = receiver.endpoint(answer(500));
  const subscription = await world.subscribe({ url: endpoint.url });
  const [first, second] = await hold(2);
  await open(subscription);
  await expect.poll(() => isDue(subscription)).toBe(true);
  // The worker dies after it chose the delivery: nothing is sent.
  await probe(world.context, subscription, { signal: AbortSignal.abort(), isHeld: () => false });
  expect(endpoint.requests).toHaveLength(0);
  await probe(world.context, subscription, lease);
  const attempted = (await world.context.pool.query("select delivery_id as id from attempts")).rows;
  expect(attempted).toEqual([{ id: second }]);
  expect(first).not.toBe(second);
});

test("a successful probe delivers and closes the breaker, and without held deliveries there is no probe", async () => {
  const endpoint = receiver.endpoint();
  const subscription = await world.subscribe({ url: endpoint.url });
  await hold(1);
  await open(subscription);
  await expect.poll(() => isDue(subscription)).toBe(true);
  expect(await probe(world.context, subscription, lease)).toBe(true);
  expect((await world.rows())[0]).toMatchObject({ state: "delivered", attempt_count: 1 });
  expect(
    (await world.context.breakerReports.read([{ id: subscription, isFailing: true }])).get(subscription),
  ).toMatchObject({
    state: "closed",
  });
  expect(await probe(world.context, subscription, lease)).toBe(false);
});
