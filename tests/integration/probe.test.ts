import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import { type Receiver, startReceiver } from "@postrider/testkit/receiver/receiver.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { RetryLater } from "../../apps/worker/src/job/retry-later.ts";
import { probe } from "../../apps/worker/src/release/probe.ts";
import { release } from "../../apps/worker/src/release/release-held.ts";
import { Releases } from "../../apps/worker/src/release/releases.ts";

const lease = { signal: new AbortController().signal, isHeld: () => true };

const SLOTS = 4;

let world: World;
let receiver: Receiver;
let releases: Releases;
beforeAll(async () => {
  receiver = await startReceiver();
  world = await createTestWorld({
    BREAKER_COOLDOWN: "50ms",
    BREAKER_THRESHOLD: "1",
    ALLOWED_NETWORKS: "127.0.0.0/8",
    MAX_IN_FLIGHT: `${SLOTS}`,
  });
  releases = new Releases(world.context.redis, 10);
});
beforeEach(() =>
  world.context.pool.query("truncate deliveries, events, attempts, subscriptions, subscription_patterns"),
);
afterAll(async () => {
  await world.close();
  await receiver.close();
});

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
    lastSuccessAt: null,
  });
}

const isDue = async (subscription: string) => {
  const breaker = (await world.context.breakerReports.read([{ id: subscription, isFailing: true }])).get(subscription)!;
  return breaker.now >= breaker.until;
};

test("each probe takes the delivery that was probed longest ago, and a failed probe spends no step of its schedule", async () => {
  const endpoint = receiver.endpoint(answer(500));
  const subscription = await world.subscribe({ url: endpoint.url });
  await world.hold(3);
  const since = (await world.context.pool.query("select distinct held_at from deliveries")).rows;
  await open(subscription);
  for (let probed = 0; probed < 6; probed += 1) {
    await expect.poll(() => isDue(subscription)).toBe(true);
    expect(await probe(world.context, subscription, lease, releases)).toBe(true);
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
  const [, , never] = await world.hold(4);
  await world.context.pool.query("update deliveries set attempt_count = 1 where id < $1", [never]);
  await open(subscription);
  await expect.poll(() => isDue(subscription)).toBe(true);
  await probe(world.context, subscription, lease, releases);
  expect((await world.context.pool.query("select delivery_id as id from attempts")).rows).toEqual([{ id: never }]);
});

test("a delivery whose probe killed its worker is not probed next", async () => {
  const endpoint = receiver.endpoint(answer(500));
  const subscription = await world.subscribe({ url: endpoint.url });
  const [first, second] = await world.hold(2);
  await open(subscription);
  await expect.poll(() => isDue(subscription)).toBe(true);
  // The worker dies right after it marked the delivery: nothing is sent.
  await probe(world.context, subscription, { ...lease, isHeld: () => false }, releases);
  expect(endpoint.requests).toHaveLength(0);
  await probe(world.context, subscription, lease, releases);
  const attempted = (await world.context.pool.query("select delivery_id as id from attempts")).rows;
  expect(attempted).toEqual([{ id: second }]);
  expect(first).not.toBe(second);
});

test("a successful probe delivers and closes the breaker, and without held deliveries there is no probe", async () => {
  const endpoint = receiver.endpoint();
  const subscription = await world.subscribe({ url: endpoint.url });
  await world.hold(1);
  await open(subscription);
  await expect.poll(() => isDue(subscription)).toBe(true);
  expect(await probe(world.context, subscription, lease, releases)).toBe(true);
  expect((await world.rows())[0]).toMatchObject({ state: "delivered", attempt_count: 1 });
  expect(
    (await world.context.breakerReports.read([{ id: subscription, isFailing: true }])).get(subscription),
  ).toMatchObject({
    state: "closed",
  });
  expect(await probe(world.context, subscription, lease, releases)).toBe(false);
});

test("a probe that gets no slot for a second is put back: it is no running release, and neither breaker nor delivery is marked", async () => {
  const endpoint = receiver.endpoint();
  const subscription = await world.subscribe({ url: endpoint.url });
  await world.hold(1);
  await open(subscription);
  await expect.poll(() => isDue(subscription)).toBe(true);
  const taken = await Promise.all(Array.from({ length: SLOTS }, (_, index) => takeSlot(`tenant-${index}`)));
  const releasing = release(world.context, subscription, lease, releases).catch((error: unknown) => error);
  await expect.poll(() => releases.waitingProbes).toBe(1);
  expect(releases.running).toBe(0);
  expect(await releasing).toBeInstanceOf(RetryLater);
  expect(releases.waitingProbes).toBe(0);
  const breakers = await world.context.breakerReports.read([{ id: subscription, isFailing: true }]);
  expect(breakers.get(subscription)).toMatchObject({ state: "open" });
  expect((await world.context.pool.query("select probed_at from deliveries")).rows).toEqual([{ probed_at: null }]);
  for (const release of taken) release(undefined);
  await probe(world.context, subscription, lease, releases);
  expect((await world.rows())[0]).toMatchObject({ state: "delivered" });
});

/** Takes a slot for a proven subscription. @returns releases it */
async function takeSlot(subscription: string) {
  const slot = await world.context.slots.acquire({
    subscription,
    tenant: subscription,
    order: newId(),
    isProbe: false,
    isProven: true,
    canBeHeld: false,
    maxInFlight: 1,
    rate: null,
    rateLimitName: "rate_limit",
    signal: lease.signal,
  });
  if (slot.kind !== "granted") throw new Error(slot.kind);
  return slot.release;
}
