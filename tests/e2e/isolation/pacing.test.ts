import { expect, test } from "vitest";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import { SHARED_WORKERS } from "@postrider/testkit/stack/shared-stack.ts";
import { newSubscriber, type Subscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";

const e2e = useSharedStack();

/** What a rate limit grants at once after a pause. */
const BURST = 5;

/** In many small batches, so that every worker has some. */
async function sendInBatches(subscriber: Subscriber, count: number): Promise<string[]> {
  const sent: string[] = [];
  while (sent.length < count) sent.push(...(await subscriber.send(Math.min(10, count - sent.length))));
  return sent;
}

async function untilEachOnce(subscriber: Subscriber, sent: string[]): Promise<void> {
  const delivered = await subscriber.untilEvery(sent, "delivered");
  expect(new Set(delivered.map((one) => one.attemptCount))).toEqual(new Set([1]));
  expect(subscriber.endpoint.requests).toHaveLength(sent.length);
  expect(await subscriber.look()).toMatchObject({ held: 0 });
}

/** The whole time bounds the rate from above on any machine; a busy one only makes it longer. */
function expectPaced(subscriber: Subscriber, rate: number, startedAt: number): void {
  const times = subscriber.endpoint.requests.map((request) => request.at);
  const tookSeconds = (Math.max(...times) - startedAt) / 1_000;
  expect(tookSeconds).toBeGreaterThanOrEqual((times.length - BURST) / rate);
}

test.concurrent("a rate limit holds for all workers together", async () => {
  const rateLimit = 20;
  const subscriber = await newSubscriber(e2e, answer(200), { rateLimit });
  const startedAt = Date.now();
  const sent = await sendInBatches(subscriber, 120);
  await untilEachOnce(subscriber, sent);
  expectPaced(subscriber, rateLimit, startedAt);
});

test.concurrent("a delivery that waits longer than a second for the rate limit is held without an attempt, and then released", async () => {
  const subscriber = await newSubscriber(e2e, answer(200), { rateLimit: 4 });
  const startedAt = Date.now();
  const sent = await sendInBatches(subscriber, 30);
  const { held } = await subscriber.until(
    "some wait for the rate",
    ({ heldReasons }) => (heldReasons["rate_limit"] ?? 0) > 0,
  );
  expect(held).toBeLessThan(30);
  const waiting = (await subscriber.deliveries()).filter(({ status }) => status === "held");
  for (const delivery of waiting) expect(delivery).toMatchObject({ heldReason: "rate_limit", attemptCount: 0 });
  await untilEachOnce(subscriber, sent);
  expectPaced(subscriber, 4, startedAt);
});

test.concurrent("a rate limit holds for the deliveries that a resume releases", async () => {
  const subscriber = await newSubscriber(e2e, answer(200), { rateLimit: 10 });
  await e2e.api.pause(subscriber.id);
  const backlog = await subscriber.backlog(40);
  const startedAt = Date.now();
  await e2e.api.resume(subscriber.id);
  await untilEachOnce(subscriber, backlog);
  expectPaced(subscriber, 10, startedAt);
});

test.concurrent("removing a rate limit releases the deliveries that it held", async () => {
  const subscriber = await newSubscriber(e2e, answer(200), { rateLimit: 1 });
  // At one a second they would take ten minutes, far more than the wait below.
  const sent = await sendInBatches(subscriber, 600);
  await subscriber.until("most wait for the rate", ({ heldReasons }) => (heldReasons["rate_limit"] ?? 0) > 300);
  await e2e.api.changeSubscription(subscriber.id, { rateLimit: null });
  await subscriber.untilEvery(sent, "delivered");
});

test.concurrent("maxInFlight bounds the open requests of each worker, and each delivery arrives once", async () => {
  const subscriber = await newSubscriber(e2e, answer(200, { afterMs: 100 }), { maxInFlight: 2 });
  await untilEachOnce(subscriber, await sendInBatches(subscriber, 60));
  expect(subscriber.endpoint.peakInFlight).toBeLessThanOrEqual(2 * SHARED_WORKERS);
});

test.concurrent("a delivery that waits longer than a second for maxInFlight is held without an attempt, and then released", async () => {
  const subscriber = await newSubscriber(e2e, answer(200, { afterMs: 1_500 }), { maxInFlight: 1, timeoutMs: 30_000 });
  const sent = await sendInBatches(subscriber, 6);
  await subscriber.until("some wait for a slot", ({ heldReasons }) => (heldReasons["max_in_flight"] ?? 0) > 0);
  const waiting = (await subscriber.deliveries()).filter(({ status }) => status === "held");
  for (const delivery of waiting) expect(delivery).toMatchObject({ heldReason: "max_in_flight", attemptCount: 0 });
  await untilEachOnce(subscriber, sent);
  expect(subscriber.endpoint.peakInFlight).toBeLessThanOrEqual(SHARED_WORKERS);
});
