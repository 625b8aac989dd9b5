import { expect, test } from "vitest";
import type { NewEvent, Problem } from "@postrider/testkit/client/types.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";

const e2e = useSharedStack();

const orders = (count: number, tenant: string): NewEvent[] =>
  Array.from({ length: count }, (_, order) => ({ type: "order.created", data: { order }, tenant }));

const post = (body: unknown) => e2e.api.call<Problem>("POST", "/v1/events/batch", { body });

test.concurrent("a batch is answered in order, each event as if it was sent alone, and every event is delivered", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  await e2e.api.subscribe({ tenant, url: endpoint.url });
  const events = orders(3, tenant).map((event, index) => ({ ...event, type: `order.n${index}` }));
  const answer = await e2e.api.call<{ data: unknown[] }>("POST", "/v1/events/batch", { body: { events } });
  expect(answer.status).toBe(202);
  expect(answer.body).toStrictEqual({
    data: events.map(({ type }) => ({
      id: expect.stringMatching(/^evt_/) as string,
      type,
      tenant,
      createdAt: expect.any(String) as string,
      deliveries: 1,
      expanding: false,
      duplicate: false,
    })),
  });
  await endpoint.untilEvents((answer.body.data as { id: string }[]).map((event) => event.id));
});

test.concurrent("each event of a batch of a thousand is delivered once", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  await e2e.api.subscribe({ tenant, url: endpoint.url });
  const accepted = await e2e.api.sendBatch(orders(1000, tenant));
  expect(new Set(accepted.map((event) => event.id)).size).toBe(1000);
  await endpoint.untilEvents(accepted.map((event) => event.id));
  const sent = endpoint.requests.map(
    (one) => (JSON.parse(one.body.toString()) as { data: { order: number } }).data.order,
  );
  expect(sent.sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, order) => order));
});

test.concurrent("the events of several tenants in one batch reach only the subscribers of their own tenant", async () => {
  const [one, two] = [newTenant(), newTenant()];
  const [first, second] = [e2e.receiver.endpoint(), e2e.receiver.endpoint()];
  await e2e.api.subscribe({ tenant: one, url: first.url });
  await e2e.api.subscribe({ tenant: two, url: second.url });
  const accepted = await e2e.api.sendBatch([...orders(2, one), ...orders(2, two)]);
  const ids = accepted.map((event) => event.id);
  await first.untilEvents(ids.slice(0, 2));
  await second.untilEvents(ids.slice(2));
  expect(first.eventIds()).toEqual(new Set(ids.slice(0, 2)));
  expect(second.eventIds()).toEqual(new Set(ids.slice(2)));
});

const faults: [string, Record<string, unknown>, string][] = [
  ["a bad type", { type: "order..created", data: 1 }, "type"],
  ["no type", { data: 1 }, "type"],
  ["no data", { type: "order.created" }, "data"],
  ["an unknown field", { type: "order.created", data: 1, colour: "red" }, "colour"],
  ["a bad tenant", { type: "order.created", data: 1, tenant: "no spaces" }, "tenant"],
  ["a bad key", { type: "order.created", data: 1, idempotencyKey: "" }, "idempotencyKey"],
];
test.concurrent.each(faults)(
  "one event with %s fails the whole batch, and the answer names the event and the field",
  async (_name, bad, field) => {
    const tenant = newTenant();
    const answer = await post({ events: [...orders(1, tenant), { tenant, ...bad }, ...orders(1, tenant)] });
    expect(answer.status).toBe(400);
    const named = (answer.body.errors ?? []).map((error) => `${error.field} ${error.message}`);
    expect(named).toHaveLength(1);
    expect(named[0]).toMatch(/\b1\b/);
    expect(named[0]).toContain(field);
    expect((await e2e.api.events({ tenant })).data).toEqual([]);
  },
);

test.concurrent("a batch without events is refused", async () => {
  expect((await post({ events: [] })).status).toBe(400);
});

test.concurrent("a batch of more than a thousand events is refused, and nothing is stored", async () => {
  const tenant = newTenant();
  expect((await post({ events: orders(1001, tenant) })).status).toBeOneOf([400, 413]);
  expect((await e2e.api.events({ tenant })).data).toEqual([]);
});

test.concurrent("a batch of more than 10 MiB is answered 413, and nothing is stored", async () => {
  const tenant = newTenant();
  const events = orders(55, tenant).map((event) => ({ ...event, data: "x".repeat(200 * 1024) }));
  const answer = await post({ events });
  expect(answer).toMatchObject({ status: 413, body: { status: 413, code: expect.any(String) as string } });
  expect((await e2e.api.events({ tenant })).data).toEqual([]);
});

test.concurrent("a batch of 9 MiB is accepted and delivered", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  await e2e.api.subscribe({ tenant, url: endpoint.url });
  const accepted = await e2e.api.sendBatch(
    orders(45, tenant).map((event) => ({ ...event, data: "x".repeat(200 * 1024) })),
  );
  await endpoint.untilEvents(accepted.map((event) => event.id));
});

test.concurrent("a batch with one event over 256 KiB is answered 413, and nothing is stored", async () => {
  const tenant = newTenant();
  const answer = await post({ events: [...orders(1, tenant), { type: "big", data: "x".repeat(257 * 1024), tenant }] });
  expect(answer.status).toBe(413);
  expect((await e2e.api.events({ tenant })).data).toEqual([]);
});
