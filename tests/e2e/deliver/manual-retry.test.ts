import { expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { answer, failing, gate } from "@postrider/testkit/receiver/behaviours.ts";
import type { Behaviour } from "@postrider/testkit/receiver/request.ts";
import { THRESHOLD } from "@postrider/testkit/stack/settings.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const e2e = useSharedStack();

async function sendTo(behaviour: Behaviour, retrySchedule = ["50ms"]) {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint(behaviour);
  const { id } = await e2e.api.subscribe({ tenant, url: endpoint.url, retrySchedule });
  const event = await e2e.api.send({ type: "order.created", data: { order: 7 }, tenant });
  return { endpoint, event: event.id, subscription: id };
}

const retry = (delivery: string) => e2e.api.call("POST", `/v1/deliveries/${delivery}/retry`);

test.concurrent("a retried dead letter is delivered with the same id and bytes, and keeps its attempts", async () => {
  const { endpoint, event } = await sendTo(answer(500));
  const dead = await e2e.api.untilDelivery(event, "dead");
  endpoint.behave(answer(200));
  await e2e.api.retry(dead.id);
  const delivered = await e2e.api.untilDelivery(event, "delivered");
  expect(delivered).toMatchObject({ id: dead.id, attemptCount: 3, deadReason: null, nextAttemptAt: null });
  const attempts = delivered.attempts.toSorted((a, b) => a.number - b.number);
  expect(attempts.map(({ number, trigger, responseStatus }) => [number, trigger, responseStatus])).toEqual([
    [1, "auto", 500],
    [2, "auto", 500],
    [3, "manual", 200],
  ]);
  expect(endpoint.eventIds()).toEqual(new Set([event]));
  for (const request of endpoint.requests) expect(request.body).toEqual(endpoint.requests[0]?.body);
});

test.concurrent("a manual retry that fails starts the full schedule again", async () => {
  const { endpoint, event } = await sendTo(answer(500));
  const dead = await e2e.api.untilDelivery(event, "dead");
  await e2e.api.retry(dead.id);
  await endpoint.untilRequests(4);
  const again = await e2e.api.untilDelivery(event, "dead");
  expect(again).toMatchObject({ deadReason: "exhausted", attemptCount: 4 });
  expect(new Set(again.attempts.map((attempt) => attempt.number))).toEqual(new Set([1, 2, 3, 4]));
  expect(endpoint.requests).toHaveLength(4);
});

test.concurrent("a delivered delivery can be retried", async () => {
  const { endpoint, event } = await sendTo(answer(200));
  const { id } = await e2e.api.untilDelivery(event, "delivered");
  await e2e.api.retry(id);
  await endpoint.untilRequests(2);
  expect(await e2e.api.untilDelivery(event, "delivered")).toMatchObject({ id });
  expect(endpoint.eventIds()).toEqual(new Set([event]));
});

test.concurrent("a manual retry of a delivery that waits for its retry is sent at once", async () => {
  const { event, endpoint } = await sendTo(failing(1, answer(500)), ["1h"]);
  const { id } = await e2e.api.untilDelivery(event, "retrying");
  await e2e.api.retry(id);
  expect(await e2e.api.untilDelivery(event, "delivered")).toMatchObject({ attemptCount: 2 });
  expect(endpoint.requests).toHaveLength(2);
});

test.concurrent("a manual retry during the first request is a conflict, delivery_pending", async () => {
  const slow = gate();
  const { endpoint, event } = await sendTo(slow);
  await endpoint.untilRequests(1);
  const { id, status } = await e2e.api.deliveryOf(event);
  expect(status).toBe("pending");
  const refused = await retry(id);
  slow.open();
  expect(refused).toMatchObject({ status: 409, body: { code: "delivery_pending", status: 409 } });
  expect(refused.headers.get("content-type")).toMatch(/^application\/problem\+json/);
  expect(await e2e.api.untilDelivery(event, "delivered")).toMatchObject({ attemptCount: 1 });
  expect(endpoint.requests).toHaveLength(1);
});

test.concurrent("a manual retry after the subscription was deleted is a conflict, subscription_deleted", async () => {
  const { event, subscription } = await sendTo(answer(200));
  const { id } = await e2e.api.untilDelivery(event, "delivered");
  await e2e.api.deleteSubscription(subscription);
  expect(await retry(id)).toMatchObject({ status: 409, body: { code: "subscription_deleted" } });
});

test.concurrent("a manual retry of an unknown delivery is answered 404", async () => {
  const { event } = await sendTo(answer(200));
  const { id } = await e2e.api.untilDelivery(event, "delivered");
  const unknown = `${id.slice(0, -4)}${id.endsWith("0000") ? "1111" : "0000"}`;
  expect(await retry(unknown)).toMatchObject({ status: 404, body: { status: 404 } });
});

test.concurrent("of twenty manual retries of one dead letter at the same moment one is accepted, and makes one request", async () => {
  const { endpoint, event } = await sendTo(answer(500));
  const dead = await e2e.api.untilDelivery(event, "dead");
  const slow = gate();
  endpoint.behave(slow);
  const answers = await Promise.all(Array.from({ length: 20 }, () => retry(dead.id)));
  expect(answers.filter(({ status }) => status === 202)).toHaveLength(1);
  for (const refused of answers.filter(({ status }) => status !== 202)) {
    expect(refused).toMatchObject({ status: 409, body: { code: "delivery_pending" } });
  }
  await endpoint.untilRequests(3);
  expect(await retry(dead.id)).toMatchObject({ status: 409, body: { code: "delivery_pending" } });
  slow.open();
  const delivered = await e2e.api.untilDelivery(event, "delivered");
  expect(delivered.attemptCount).toBe(3);
  expect(delivered.attempts.map(({ number }) => number)).toEqual([1, 2, 3]);
  expect(endpoint.requests).toHaveLength(3);
});

test.concurrent("a manual retry while a retry is on the wire is a conflict, and both attempts count", async () => {
  const slow = gate(answer(500));
  const { endpoint, event } = await sendTo(failing(1, answer(500), slow), ["50ms", "1h"]);
  await endpoint.untilRequests(2);
  const { id } = await e2e.api.deliveryOf(event);
  expect(await retry(id)).toMatchObject({ status: 409, body: { code: "delivery_pending" } });
  endpoint.behave(answer(200));
  slow.open();
  const waiting = await waitFor("its second attempt is recorded", async () => {
    const now = await e2e.api.deliveryOf(event);
    return now.attemptCount === 2 && now;
  });
  expect(waiting).toMatchObject({ status: "retrying" });
  // The job may still be ending.
  await waitFor("a retry is accepted", async () => (await retry(id)).status === 202);
  const delivered = await e2e.api.untilDelivery(event, "delivered");
  expect(delivered.attempts.map(({ number, trigger }) => [number, trigger])).toEqual([
    [1, "auto"],
    [2, "auto"],
    [3, "manual"],
  ]);
});

test.concurrent("a manual retry while a delivery's probe is on the wire is a conflict", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), { retrySchedule: ["24h"] });
  await subscriber.trip();
  const slow = gate();
  subscriber.endpoint.behave(slow);
  const [event] = await subscriber.send(1);
  await subscriber.endpoint.untilRequests(THRESHOLD + 1);
  const { id, status } = await e2e.api.deliveryOf(event!);
  const refused = await retry(id);
  slow.open();
  expect(status).toBe("held");
  expect(refused).toMatchObject({ status: 409, body: { code: "delivery_pending" } });
  const delivered = await e2e.api.untilDelivery(event!, "delivered");
  expect(delivered.attempts.map(({ number, trigger }) => [number, trigger])).toEqual([[1, "probe"]]);
});

test.concurrent("a manual retry of a paused subscription's delivery is refused, in any state, and accepted after the resume", async () => {
  const { endpoint, event, subscription } = await sendTo(answer(500));
  const dead = await e2e.api.untilDelivery(event, "dead");
  await e2e.api.pause(subscription);
  expect(await retry(dead.id)).toMatchObject({ status: 409, body: { code: "subscription_paused" } });
  endpoint.behave(answer(200));
  await e2e.api.resume(subscription);
  expect((await retry(dead.id)).status).toBe(202);
  expect(await e2e.api.untilDelivery(event, "delivered")).toMatchObject({ attemptCount: 3 });
});

test.concurrent("a manual retry of a disabled subscription's delivery is refused", async () => {
  const { event, subscription } = await sendTo(answer(410));
  const dead = await e2e.api.untilDelivery(event, "dead");
  await waitFor("it is disabled", async () => (await e2e.api.subscription(subscription)).status === "disabled");
  expect(await retry(dead.id)).toMatchObject({ status: 409, body: { code: "subscription_disabled" } });
  expect(await e2e.api.delivery(dead.id)).toMatchObject({ status: "dead", deadReason: "gone" });
});
