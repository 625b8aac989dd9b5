import { expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { answer, gate } from "@postrider/testkit/receiver/behaviours.ts";
import { isSignedWith } from "@postrider/testkit/receiver/request.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const e2e = useSharedStack();
const isoUtc = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

async function subscribed(more: { headers?: Record<string, string>; retrySchedule?: string[] } = {}) {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  const subscription = await e2e.api.subscribe({ tenant, url: endpoint.url, ...more });
  const send = async () => (await e2e.api.send({ type: "order.created", data: 1, tenant })).id;
  return { tenant, endpoint, id: subscription.id, subscription, send };
}

test.concurrent("a subscription has exactly the fields and defaults of the contract", async () => {
  const { subscription, tenant, endpoint } = await subscribed();
  const { secret, ...shown } = subscription;
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]+=*$/);
  expect(shown).toStrictEqual({
    id: expect.stringMatching(/^sub_[0-7][0-9a-hjkmnp-tv-z]{25}$/) as string,
    tenant,
    url: endpoint.url,
    eventTypes: ["*"],
    description: expect.toBeOneOf([null, ""]) as string,
    headers: {},
    rateLimit: null,
    maxInFlight: 32,
    timeoutMs: 30_000,
    retrySchedule: ["100ms", "200ms", "400ms"],
    metadata: {},
    status: "active",
    disabledReason: null,
    lastSuccessAt: null,
    lastFailureAt: null,
    lastError: null,
    breaker: { state: "closed", failures: 0, retryAt: null },
    limit: null,
    held: 0,
    heldReasons: {},
    oldestHeldAt: null,
    createdAt: expect.stringMatching(isoUtc) as string,
    updatedAt: expect.stringMatching(isoUtc) as string,
  });
  expect(await e2e.api.subscription(subscription.id)).toStrictEqual(shown);
  expect((await e2e.api.subscriptions({ tenant })).data).toStrictEqual([shown]);
});

test.concurrent("a subscription keeps every field of its creation", async () => {
  const given = {
    tenant: newTenant(),
    url: e2e.receiver.endpoint().url,
    eventTypes: ["order.*", "invoice.sent"],
    description: "Accounting",
    headers: { "x-team": "accounting" },
    rateLimit: 50,
    maxInFlight: 4,
    timeoutMs: 500,
    retrySchedule: ["1s", "1m"],
    metadata: { customer: "c-7", nested: { a: [1] } },
  };
  const { id } = await e2e.api.subscribe(given);
  expect(await e2e.api.subscription(id)).toMatchObject(given);
});

test.concurrent("a change of a subscription keeps the fields that it does not name", async () => {
  const { id, subscription, send } = await subscribed();
  const other = e2e.receiver.endpoint();
  const changed = await e2e.api.changeSubscription(id, { url: other.url, description: "moved", timeoutMs: 700 });
  const { secret: _, ...before } = subscription;
  expect(changed).toStrictEqual({
    ...before,
    url: other.url,
    description: "moved",
    timeoutMs: 700,
    updatedAt: expect.stringMatching(isoUtc) as string,
  });
  expect(Date.parse(changed.updatedAt)).toBeGreaterThanOrEqual(Date.parse(before.updatedAt));
  expect(await e2e.api.subscription(id)).toStrictEqual(changed);
  await other.untilEvents([await send()]);
});

test.concurrent("a subscription's own headers are sent with every request", async () => {
  const { endpoint, send } = await subscribed({ headers: { "x-api-key": "s3cret", "X-Team": "a b" } });
  await send();
  const [request] = await endpoint.untilRequests(1);
  expect(request?.headers).toMatchObject({ "x-api-key": "s3cret", "x-team": "a b" });
});

const reserved: [string, string][] = [
  ["webhook-id", "evt_forged"],
  ["webhook-timestamp", "1"],
  ["Webhook-Signature", "v1,forged"],
  ["content-type", "text/plain"],
  ["Content-Length", "3"],
  ["transfer-encoding", "chunked"],
  ["connection", "close"],
  ["host", "elsewhere.example"],
];
test.concurrent.each(reserved)("a subscription cannot override the header %s", async (name, value) => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  const body = { tenant, url: endpoint.url, headers: { [name]: value } };
  const created = await e2e.api.call<{ secret: string }>("POST", "/v1/subscriptions", { body });
  if (created.status === 400) {
    expect(JSON.stringify(created.body)).toContain(name);
    return;
  }
  expect(created.status).toBe(201);
  const event = await e2e.api.send({ type: "order.created", data: 1, tenant });
  const [request] = await endpoint.untilRequests(1);
  expect(request && isSignedWith(request, created.body.secret)).toBe(true);
  expect(request?.headers).toMatchObject({
    "webhook-id": event.id,
    "content-type": "application/json",
    "content-length": String(request?.body.length),
    host: new URL(endpoint.url).host,
  });
});

test.concurrent("a paused subscription holds new deliveries without a request or an attempt, and resuming delivers them", async () => {
  const { id, endpoint, send } = await subscribed();
  expect((await e2e.api.pause(id)).status).toBe("paused");
  const events = [await send(), await send(), await send()];
  for (const event of events) {
    expect(await e2e.api.untilDelivery(event, "held")).toMatchObject({
      heldReason: "paused",
      attemptCount: 0,
      attempts: [],
      settledAt: null,
    });
  }
  expect(await e2e.api.subscription(id)).toMatchObject({ status: "paused", held: 3 });
  expect(endpoint.requests).toHaveLength(0);

  expect((await e2e.api.resume(id)).status).toBe("active");
  await endpoint.untilEvents(events);
  for (const event of events) {
    expect(await e2e.api.untilDelivery(event, "delivered")).toMatchObject({ attemptCount: 1, heldReason: null });
  }
  expect(endpoint.requests).toHaveLength(3);
  expect((await e2e.api.subscription(id)).held).toBe(0);
});

test.concurrent("a paused subscription holds retries that come due, and resuming continues their schedule", async () => {
  const { id, endpoint, send } = await subscribed({ retrySchedule: ["300ms", "300ms"] });
  endpoint.behave(answer(500));
  const event = await send();
  await endpoint.untilRequests(1);
  await e2e.api.pause(id);
  const held = await e2e.api.untilDelivery(event, "held");
  expect(held).toMatchObject({ heldReason: "paused", attemptCount: 1 });
  endpoint.behave(answer(200));
  await e2e.api.resume(id);
  expect(await e2e.api.untilDelivery(event, "delivered")).toMatchObject({ attemptCount: 2 });
});

test.concurrent("pausing twice and resuming twice is the same as once", async () => {
  const { id, endpoint, send } = await subscribed();
  await e2e.api.pause(id);
  expect((await e2e.api.pause(id)).status).toBe("paused");
  const event = await send();
  await e2e.api.untilDelivery(event, "held");
  await e2e.api.resume(id);
  expect((await e2e.api.resume(id)).status).toBe("active");
  await e2e.api.untilDelivery(event, "delivered");
  expect(endpoint.requests).toHaveLength(1);
});

test.concurrent("a disabled subscription holds its deliveries, and enabling it delivers them", async () => {
  const { id, endpoint, send } = await subscribed();
  endpoint.behave(answer(410));
  const gone = await send();
  await e2e.api.untilDelivery(gone, "dead");
  await waitFor("the subscription is disabled", async () => (await e2e.api.subscription(id)).status === "disabled");
  const event = await send();
  expect(await e2e.api.untilDelivery(event, "held")).toMatchObject({ heldReason: "disabled", attemptCount: 0 });
  expect(endpoint.requests).toHaveLength(1);

  endpoint.behave(answer(200));
  expect(await e2e.api.enable(id)).toMatchObject({ status: "active", disabledReason: null });
  await e2e.api.untilDelivery(event, "delivered");
  expect(await e2e.api.deliveryOf(gone)).toMatchObject({ status: "dead", deadReason: "gone" });
  expect(endpoint.requests).toHaveLength(2);
});

test.concurrent("deleting a subscription cancels its held deliveries, ends its matching and keeps its deliveries readable", async () => {
  const { id, tenant, endpoint, send } = await subscribed();
  await e2e.api.pause(id);
  const event = await send();
  await e2e.api.untilDelivery(event, "held");
  await e2e.api.deleteSubscription(id);
  const cancelled = await e2e.api.untilDelivery(event, "cancelled");
  expect(cancelled).toMatchObject({ subscription: id, heldReason: null, attemptCount: 0 });
  expect(cancelled.settledAt).toEqual(expect.any(String));
  expect((await e2e.api.send({ type: "order.created", data: 1, tenant })).deliveries).toBe(0);
  expect(endpoint.requests).toHaveLength(0);
});

test.concurrent("deleting a subscription cancels deliveries that wait for their retry", async () => {
  const { id, endpoint, send } = await subscribed({ retrySchedule: ["1s"] });
  endpoint.behave(answer(500));
  const event = await send();
  await e2e.api.untilDelivery(event, "retrying");
  await e2e.api.deleteSubscription(id);
  expect(await e2e.api.untilDelivery(event, "cancelled")).toMatchObject({ attemptCount: 1 });
  expect(endpoint.requests).toHaveLength(1);
});

test.concurrent("a deleted subscription is unknown to every route", async () => {
  const { id, tenant } = await subscribed();
  await e2e.api.deleteSubscription(id);
  expect((await e2e.api.call("GET", `/v1/subscriptions/${id}`)).status).toBe(404);
  expect((await e2e.api.call("DELETE", `/v1/subscriptions/${id}`)).status).toBe(404);
  expect((await e2e.api.call("PATCH", `/v1/subscriptions/${id}`, { body: { description: "x" } })).status).toBe(404);
  for (const call of ["pause", "resume", "enable", "secret/rotate"]) {
    expect((await e2e.api.call("POST", `/v1/subscriptions/${id}/${call}`)).status).toBe(404);
  }
  expect((await e2e.api.call("GET", `/v1/subscriptions/${id}/secret`)).status).toBe(404);
  expect((await e2e.api.subscriptions({ tenant })).data).toEqual([]);
});

test.concurrent("a 2xx that arrives after its subscription was deleted is recorded as delivered", async () => {
  const { id, endpoint, send } = await subscribed();
  const slow = gate();
  endpoint.behave(slow);
  const event = await send();
  await endpoint.untilRequests(1);
  await e2e.api.deleteSubscription(id);
  slow.open();
  expect(await e2e.api.untilDelivery(event, "delivered")).toMatchObject({ attemptCount: 1 });
});
