import { expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";

const e2e = useSharedStack();

test.concurrent("an event is delivered once to every matching subscription of its tenant, and to no other", async () => {
  const tenant = newTenant();
  const wanted: Record<string, string[]> = {
    everything: ["*"],
    "all orders": ["order.*"],
    "created orders": ["order.created"],
    several: ["invoice.*", "order.created"],
    overlapping: ["order.*", "order.created", "*"],
  };
  const unwanted: Record<string, string[]> = {
    "order itself": ["order"],
    "another order": ["order.paid"],
    deeper: ["order.created.*"],
    "same letters": ["ord.*"],
    "other case": ["Order.created"],
    invoices: ["invoice.*", "invoice"],
  };
  const endpoints = new Map<string, ReturnType<typeof e2e.receiver.endpoint>>();
  for (const [name, eventTypes] of Object.entries({ ...wanted, ...unwanted })) {
    const endpoint = e2e.receiver.endpoint();
    endpoints.set(name, endpoint);
    await e2e.api.subscribe({ tenant, url: endpoint.url, eventTypes });
  }
  const elsewhere = e2e.receiver.endpoint();
  await e2e.api.subscribe({ tenant: newTenant(), url: elsewhere.url });

  const event = await e2e.api.send({ type: "order.created", data: 1, tenant });

  expect(event.deliveries).toBe(Object.keys(wanted).length);
  for (const name of Object.keys(wanted)) await endpoints.get(name)?.untilEvents([event.id]);
  const { data } = await e2e.api.eventDeliveries(event.id);
  expect(data).toHaveLength(Object.keys(wanted).length);
  expect(new Set(data.map((delivery) => delivery.subscription)).size).toBe(data.length);
  const counts = [...endpoints].map(([name, endpoint]) => [name, endpoint.requests.length]);
  expect(Object.fromEntries(counts)).toEqual({
    ...Object.fromEntries(Object.keys(wanted).map((name) => [name, 1])),
    ...Object.fromEntries(Object.keys(unwanted).map((name) => [name, 0])),
  });
  expect(elsewhere.requests).toHaveLength(0);
});

test.concurrent("the pattern order.* matches every type below order at any depth, and not order itself", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  await e2e.api.subscribe({ tenant, url: endpoint.url, eventTypes: ["order.*"] });
  const deliveries = async (type: string) => (await e2e.api.send({ type, data: 1, tenant })).deliveries;
  expect(await deliveries("order")).toBe(0);
  expect(await deliveries("orders.created")).toBe(0);
  expect(await deliveries("my.order.created")).toBe(0);
  expect(await deliveries("order.created")).toBe(1);
  expect(await deliveries("order.item.line.added")).toBe(1);
  await endpoint.untilRequests(2);
});

test.concurrent("a subscription without event types matches every type", async () => {
  const tenant = newTenant();
  const { url } = e2e.receiver.endpoint();
  expect((await e2e.api.subscribe({ tenant, url })).eventTypes).toEqual(["*"]);
  expect((await e2e.api.send({ type: "anything.at_all-1", data: 1, tenant })).deliveries).toBe(1);
});

test.concurrent("an event without a matching subscription is stored without deliveries", async () => {
  const tenant = newTenant();
  const { id, deliveries } = await e2e.api.send({ type: "order.created", data: { kept: true }, tenant });
  expect(deliveries).toBe(0);
  expect(await e2e.api.event(id)).toMatchObject({ id, data: { kept: true } });
  expect(await e2e.api.eventDeliveries(id)).toEqual({ data: [], nextCursor: null });
});

test.concurrent("changed event types apply from the next event on", async () => {
  const tenant = newTenant();
  const { url } = e2e.receiver.endpoint();
  const { id } = await e2e.api.subscribe({ tenant, url, eventTypes: ["order.created"] });
  expect((await e2e.api.send({ type: "invoice.sent", data: 1, tenant })).deliveries).toBe(0);
  await e2e.api.changeSubscription(id, { eventTypes: ["invoice.*"] });
  expect((await e2e.api.send({ type: "invoice.sent", data: 1, tenant })).deliveries).toBe(1);
  expect((await e2e.api.send({ type: "order.created", data: 1, tenant })).deliveries).toBe(0);
});
