import { expect, test } from "vitest";
import { answer, unavailableForLong } from "@postrider/testkit/receiver/behaviours.ts";
import { THRESHOLD } from "@postrider/testkit/stack/settings.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const e2e = useSharedStack();

test.concurrent("resuming delivers everything that was held once and at the first attempt, and new events too", async () => {
  const subscriber = await newSubscriber(e2e, answer(200, { afterMs: 10 }));
  await e2e.api.pause(subscriber.id);
  const events = await subscriber.backlog(400);
  expect(subscriber.endpoint.requests).toHaveLength(0);
  await e2e.api.resume(subscriber.id);
  events.push(...(await subscriber.send(20)));
  const delivered = await subscriber.untilEvery(events, "delivered");
  expect(new Set(delivered.map((one) => one.attemptCount))).toEqual(new Set([1]));
  expect(subscriber.endpoint.requests).toHaveLength(events.length);
  expect(await subscriber.look()).toMatchObject({ status: "active", held: 0 });
});

test.concurrent("resuming starts with a few requests at a time", async () => {
  const open: number[] = [];
  const subscriber = await newSubscriber(e2e);
  subscriber.endpoint.behave((request, response) => {
    open.push(subscriber.endpoint.inFlight);
    answer(200, { afterMs: 100 })(request, response);
  });
  await e2e.api.pause(subscriber.id);
  const backlog = await subscriber.backlog(200);
  await e2e.api.resume(subscriber.id);
  await subscriber.untilEvery(backlog, "delivered");
  expect(Math.max(...open.slice(0, 20))).toBeLessThanOrEqual(10);
});

test.concurrent("a subscription that is paused again during its release holds the rest until the next resume", async () => {
  const subscriber = await newSubscriber(e2e, answer(200, { afterMs: 50 }));
  await e2e.api.pause(subscriber.id);
  const backlog = await subscriber.backlog(400);
  await e2e.api.resume(subscriber.id);
  await subscriber.endpoint.untilRequests(10);
  await e2e.api.pause(subscriber.id);
  const stopped = await waitFor("each is held or delivered", async () => {
    const all = await subscriber.deliveries();
    return all.every(({ status }) => status === "held" || status === "delivered") && all;
  });
  const sent = subscriber.endpoint.requests.length;
  expect(sent).toBeLessThan(400);
  expect(stopped.filter(({ status }) => status === "held")).toHaveLength(400 - sent);

  await e2e.api.resume(subscriber.id);
  const delivered = await subscriber.untilEvery(backlog, "delivered");
  expect(new Set(delivered.map((one) => one.attemptCount))).toEqual(new Set([1]));
  expect(subscriber.endpoint.requests).toHaveLength(400);
});

test.concurrent("a paused subscription is not probed until it is resumed", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), { retrySchedule: ["24h"] });
  const clock = await newSubscriber(e2e, answer(500), { retrySchedule: ["24h"] });
  await subscriber.trip();
  const backlog = await subscriber.backlog(3);
  await e2e.api.pause(subscriber.id);
  backlog.push(...(await subscriber.backlog(1)));
  const { endpoint } = subscriber;
  // Another subscriber is probed three times meanwhile; one probe may have been under way here.
  const before = endpoint.requests.length;
  await clock.trip();
  await clock.backlog(1);
  await clock.endpoint.untilRequests(THRESHOLD + 3);
  expect(endpoint.requests.length).toBeLessThanOrEqual(before + 1);
  endpoint.behave(answer(200));
  await e2e.api.resume(subscriber.id);
  await subscriber.untilEvery(backlog, "delivered");
});

test.concurrent("a paused subscription refuses manual retries, which it would only hold", async () => {
  const subscriber = await newSubscriber(e2e);
  await e2e.api.pause(subscriber.id);
  const backlog = await subscriber.backlog(2);
  const { id } = await e2e.api.deliveryOf(backlog[0]!);
  const refused = await e2e.api.call("POST", `/v1/deliveries/${id}/retry`);
  expect(refused).toMatchObject({ status: 409, body: { code: "subscription_paused" } });
  expect(await e2e.api.delivery(id)).toMatchObject({ status: "held", heldReason: "paused" });
  expect(subscriber.endpoint.requests).toHaveLength(0);
  await e2e.api.resume(subscriber.id);
  await subscriber.untilEvery(backlog, "delivered");
  expect(subscriber.endpoint.requests).toHaveLength(2);
});

test.concurrent("a subscription that answers 410 is disabled and holds its deliveries until it is enabled", async () => {
  const subscriber = await newSubscriber(e2e, unavailableForLong, { retrySchedule: ["24h"] });
  await subscriber.trip();
  const heldBefore = await subscriber.backlog(5);
  subscriber.endpoint.behave(answer(410));
  const [retried, ...others] = heldBefore;
  await e2e.api.retry((await e2e.api.deliveryOf(retried!)).id);
  expect(await e2e.api.untilDelivery(retried!, "dead")).toMatchObject({ deadReason: "gone" });
  const disabled = await subscriber.until("it is disabled", ({ status }) => status === "disabled");
  expect(disabled.disabledReason).toBe("gone");
  const [event] = await subscriber.backlog(1);
  expect(await e2e.api.deliveryOf(event!)).toMatchObject({ heldReason: "disabled", attemptCount: 0, attempts: [] });
  expect(subscriber.endpoint.requests).toHaveLength(THRESHOLD + 1);

  subscriber.endpoint.behave(answer(200));
  expect(await e2e.api.enable(subscriber.id)).toMatchObject({
    status: "active",
    disabledReason: null,
    breaker: { state: "closed", failures: 0, retryAt: null },
  });
  await subscriber.untilEvery([...others, event!], "delivered");
});
