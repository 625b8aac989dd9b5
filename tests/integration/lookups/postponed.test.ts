import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "@postrider/testkit/processes/ports.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { probe } from "../../../apps/worker/src/release/probe.ts";
import { Releases } from "../../../apps/worker/src/release/releases.ts";
import { whileLanesRun } from "../run-lanes.ts";

const lease = { signal: new AbortController().signal, isHeld: () => true };
const NOT_SENT = "not sent: the DNS servers of this machine do not answer";

let world: World;
beforeAll(async () => {
  // Nothing listens there.
  const DNS_SERVERS = `127.0.0.1:${await freePort()}`;
  world = await createTestWorld({ DNS_SERVERS, BREAKER_COOLDOWN: "50ms", BREAKER_THRESHOLD: "1" });
});
afterAll(() => world.close());

const countAttempts = async () => (await world.context.pool.query("select id from attempts")).rowCount;

test("without a DNS server, deliveries and retries wait in the retry lane, and no attempt is spent", async () => {
  const { context } = world;
  await world.subscribe({ url: "http://shop.example/", retrySchedule: [] });
  await world.accept({}, {});
  await whileLanesRun(context, async () => {
    await context.enqueue.dispatch(world.batches.splice(0));
    const postponed = await waitFor("both are postponed", async () => {
      const rows = await world.rows();
      return rows.every(({ state, last_error }) => state === "retrying" && last_error === NOT_SENT) && rows;
    });
    await waitFor("the retry lane has postponed both again", async () => {
      const rows = await world.rows();
      return rows.every((row, index) => row.next_attempt_at! > postponed[index]!.next_attempt_at!);
    });
  });
  for (const row of await world.rows()) {
    expect(row).toMatchObject({
      state: "retrying",
      attempt_count: 0,
      schedule_step: 0,
      cycle: 0,
      last_error: NOT_SENT,
    });
  }
  expect(await countAttempts()).toBe(0);
});

test("without a DNS server, a probe is no attempt, and its delivery stays held", async () => {
  const { context } = world;
  await context.pool.query("truncate deliveries, events, attempts, subscriptions, subscription_patterns");
  const subscription = await world.subscribe({ url: "http://shop.example/" });
  await world.hold(1);
  await context.breakerReports.report({
    subscriptionId: subscription,
    deliveryId: (await world.rows())[0]!.id,
    trigger: "auto",
    sentAt: performance.now(),
    outcome: { kind: "retryable", retryAfterMs: undefined },
    responseStatus: 500,
    isWaiting: false,
    lastSuccessAt: null,
  });
  const read = async () =>
    (await context.breakerReports.read([{ id: subscription, isFailing: true }])).get(subscription)!;
  await waitFor("the cooldown is over", async () => {
    const breaker = await read();
    return breaker.now >= breaker.until;
  });
  expect(await probe(context, subscription, lease, new Releases(context.redis, 10))).toBe(true);
  expect(await world.rows()).toMatchObject([{ state: "held", held_reason: "breaker", attempt_count: 0 }]);
  expect(await countAttempts()).toBe(0);
  expect((await read()).failures).toBe(1);
});
