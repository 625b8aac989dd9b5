import { describe, expect, test } from "vitest";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import { PATIENT } from "@postrider/testkit/stack/settings.ts";
import { newSubscriber, type Subscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useStack } from "@postrider/testkit/vitest.ts";

const workers = 2;
const e2e = useStack({ workers, env: PATIENT });

/** In many small batches, so that every worker has some. */
async function sendInBatches(subscriber: Subscriber, count: number): Promise<string[]> {
  const sent: string[] = [];
  while (sent.length < count) sent.push(...(await subscriber.send(Math.min(10, count - sent.length))));
  return sent;
}

async function untilEachOnce(subscriber: Subscriber, sent: string[]): Promise<void> {
  const delivered = await subscriber.untilEvery(sent, "delivered", { within: 40_000 });
  expect(new Set(delivered.map((one) => one.attemptCount))).toEqual(new Set([1]));
  expect(subscriber.endpoint.requests).toHaveLength(sent.length);
  expect(await subscriber.look()).toMatchObject({ held: 0 });
}

/** The most requests in any span of a second. */
function busiestSecond(subscriber: Subscriber): number {
  const times = subscriber.endpoint.requests.map((request) => request.at);
  return Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + 1_000).length));
}

describe.concurrent("rateLimit", () => {
  test("is a rate over the fleet: never more in a second than that and the burst, and hardly less on average", async () => {
    const rateLimit = 20;
    const burst = 5;
    const subscriber = await newSubscriber(e2e, answer(200), { rateLimit });
    const sent = await sendInBatches(subscriber, 120);
    await untilEachOnce(subscriber, sent);
    // Two rates would let fifty through. What is late on its way arrives with the next: room for a quarter of a second of it.
    expect(busiestSecond(subscriber)).toBeLessThanOrEqual(rateLimit + burst + rateLimit / 4);
    const times = subscriber.endpoint.requests.map((request) => request.at);
    const tookSeconds = (Math.max(...times) - Math.min(...times)) / 1_000;
    expect(tookSeconds).toBeGreaterThan((120 - burst) / rateLimit - 0.5);
    expect(tookSeconds).toBeLessThan((2 * 120) / rateLimit);
  });

  test("holds what it makes wait for longer than a second, with no attempt, and then releases it", async () => {
    const subscriber = await newSubscriber(e2e, answer(200), { rateLimit: 4 });
    const sent = await sendInBatches(subscriber, 30);
    const { held } = await subscriber.until(
      "some wait for the rate",
      ({ heldReasons }) => (heldReasons?.["rate_limit"] ?? 0) > 0,
    );
    expect(held).toBeLessThan(30);
    const waiting = (await subscriber.deliveries()).filter(({ status }) => status === "held");
    for (const delivery of waiting) expect(delivery).toMatchObject({ heldReason: "rate_limit", attemptCount: 0 });
    await untilEachOnce(subscriber, sent);
    expect(busiestSecond(subscriber)).toBeLessThanOrEqual(4 + 5 + 2);
  });

  test("paces what is released on resume as well", async () => {
    const subscriber = await newSubscriber(e2e, answer(200), { rateLimit: 10 });
    await e2e.api.pause(subscriber.id);
    const backlog = await subscriber.backlog(40);
    await e2e.api.resume(subscriber.id);
    await untilEachOnce(subscriber, backlog);
    expect(busiestSecond(subscriber)).toBeLessThanOrEqual(10 + 5 + 3);
  });

  test("that is lifted lets what it held go", async () => {
    const subscriber = await newSubscriber(e2e, answer(200), { rateLimit: 1 });
    const sent = await sendInBatches(subscriber, 100);
    await subscriber.until("most wait for the rate", ({ heldReasons }) => (heldReasons?.["rate_limit"] ?? 0) > 50);
    // At one in a second they would take a minute and a half.
    await e2e.api.changeSubscription(subscriber.id, { rateLimit: null });
    await subscriber.untilEvery(sent, "delivered", { within: 20_000 });
  });
});

describe.concurrent("maxInFlight", () => {
  test("bounds what each worker has open at a slow subscriber; all of it arrives, each once", async () => {
    const subscriber = await newSubscriber(e2e, answer(200, { afterMs: 100 }), { maxInFlight: 2 });
    await untilEachOnce(subscriber, await sendInBatches(subscriber, 60));
    expect(subscriber.endpoint.peakInFlight).toBeLessThanOrEqual(2 * workers);
  });

  test("holds what it makes wait for longer than a second, with no attempt, and then releases it", async () => {
    const subscriber = await newSubscriber(e2e, answer(200, { afterMs: 1_500 }), { maxInFlight: 1, timeoutMs: 30_000 });
    const sent = await sendInBatches(subscriber, 6);
    await subscriber.until("some wait for their turn", ({ heldReasons }) => (heldReasons?.["in_flight"] ?? 0) > 0);
    const waiting = (await subscriber.deliveries()).filter(({ status }) => status === "held");
    for (const delivery of waiting) expect(delivery).toMatchObject({ heldReason: "in_flight", attemptCount: 0 });
    await untilEachOnce(subscriber, sent);
    expect(subscriber.endpoint.peakInFlight).toBeLessThanOrEqual(workers);
  });
});
