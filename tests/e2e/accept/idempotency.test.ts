import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import type { Accepted } from "@postrider/testkit/client/types.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";

const e2e = useSharedStack();

async function subscribed() {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  await e2e.api.subscribe({ tenant, url: endpoint.url });
  const eventIds = async () => (await e2e.api.events({ tenant, limit: 200 })).data.map((event) => event.id);
  return { tenant, endpoint, eventIds };
}

test.concurrent("an idempotency key that is used again with the same body returns the first event as a duplicate and delivers it once", async () => {
  const { tenant, endpoint, eventIds } = await subscribed();
  const event = { type: "order.created", data: { order: 7 }, tenant, idempotencyKey: randomUUID() };
  const first = await e2e.api.send(event);
  const second = await e2e.api.send(event);
  expect(first.duplicate).toBe(false);
  expect(second).toMatchObject({
    id: first.id,
    type: event.type,
    tenant,
    createdAt: first.createdAt,
    duplicate: true,
  });
  expect(await eventIds()).toEqual([first.id]);
  const marker = await e2e.api.send({ type: "marker", data: 1, tenant });
  await endpoint.untilEvents([first.id, marker.id]);
  expect(endpoint.requests).toHaveLength(2);
});

const sendRaw = (tenant: string, key: string, data: string) =>
  e2e.api.call<Accepted>("POST", "/v1/events", {
    raw: `{"type":"order.created","tenant":"${tenant}","data":${data}}`,
    headers: { "idempotency-key": key },
  });

const sendRawBatch = (tenant: string, key: string, data: string) =>
  e2e.api.call<{ data: Accepted[] }>("POST", "/v1/events/batch", {
    raw: `{"events":[{"idempotencyKey":"${key}","type":"order.created","tenant":"${tenant}","data":${data}}]}`,
  });

const DATA = '{"order":100,"id":12345678901234567890}';

test.concurrent.each([
  ["other white space", '{ "order": 100, "id":12345678901234567890}'],
  ["another spelling of a number", '{"order":1e2,"id":12345678901234567890}'],
  ["another order of its members", '{"id":12345678901234567890,"order":100}'],
  ["a number that differs in its last digit", '{"order":100,"id":12345678901234567891}'],
])(
  "an idempotency key compares the data byte for byte: %s is a conflict, alone and in a batch",
  async (_name, other) => {
    const { tenant, eventIds } = await subscribed();
    const key = randomUUID();
    const first = await sendRaw(tenant, key, DATA);
    expect((await sendRaw(tenant, key, other)).body).toMatchObject({ code: "idempotency_conflict", status: 409 });
    expect((await sendRawBatch(tenant, key, other)).body).toMatchObject({ code: "idempotency_conflict", status: 409 });
    expect(await eventIds()).toEqual([first.body.id]);
  },
);

test.concurrent("an idempotency key compares the same bytes in a single event and in a batch", async () => {
  const { tenant, eventIds } = await subscribed();
  const [a, b] = [randomUUID(), randomUUID()];
  const data = '{ "order" : 1e2,\n"id":12345678901234567890 }';
  const single = await sendRaw(tenant, a, `\n ${data} `);
  expect((await sendRawBatch(tenant, a, data)).body).toMatchObject({
    data: [{ id: single.body.id, duplicate: true }],
  });
  const batch = await sendRawBatch(tenant, b, `\t${data}`);
  expect((await sendRaw(tenant, b, data)).body).toMatchObject({ id: batch.body.data[0]!.id, duplicate: true });
  expect(await eventIds()).toHaveLength(2);
});

test.concurrent.each([
  ["data", { data: { order: 8 } }],
  ["type", { type: "order.paid" }],
])(
  "an idempotency key that is used again with another %s is a conflict, and nothing is stored",
  async (_name, change) => {
    const { tenant, eventIds } = await subscribed();
    const event = { type: "order.created", data: { order: 7 }, tenant };
    const headers = { "idempotency-key": randomUUID() };
    const first = await e2e.api.call<Accepted>("POST", "/v1/events", { body: event, headers });
    const answer = await e2e.api.call("POST", "/v1/events", { body: { ...event, ...change }, headers });
    expect(answer).toMatchObject({ status: 409, body: { code: "idempotency_conflict", status: 409 } });
    expect(answer.headers.get("content-type")).toMatch(/^application\/problem\+json/);
    expect(await eventIds()).toEqual([first.body.id]);
  },
);

test.concurrent("an idempotency key that 50 callers use at the same moment makes one event", async () => {
  const { tenant, endpoint, eventIds } = await subscribed();
  const event = { type: "order.created", data: { order: 7 }, tenant, idempotencyKey: randomUUID() };
  const answers = await Promise.all(Array.from({ length: 50 }, () => e2e.api.send(event)));
  expect(new Set(answers.map((one) => one.id)).size).toBe(1);
  expect(answers.filter((one) => !one.duplicate)).toHaveLength(1);
  expect(await eventIds()).toEqual([answers[0]?.id]);
  const marker = await e2e.api.send({ type: "marker", data: 1, tenant });
  await endpoint.untilEvents([answers[0]?.id ?? "", marker.id]);
  expect(endpoint.requests).toHaveLength(2);
});

test.concurrent("an idempotency key that 50 callers use with 50 bodies makes one event and 49 conflicts", async () => {
  const { tenant, eventIds } = await subscribed();
  const headers = { "idempotency-key": randomUUID() };
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, order) =>
      e2e.api.call("POST", "/v1/events", { body: { type: "order.created", data: { order }, tenant }, headers }),
    ),
  );
  const statuses = answers.map((answer) => answer.status).sort((a, b) => a - b);
  expect(statuses).toEqual([202, ...Array.from({ length: 49 }, () => 409)]);
  expect(await eventIds()).toHaveLength(1);
});

test.concurrent("a conflict of one caller fails none of the callers in the same commit", async () => {
  const { tenant, eventIds } = await subscribed();
  const headers = { "idempotency-key": randomUUID() };
  const post = (data: unknown, own: Record<string, string> = {}) =>
    e2e.api.call<Accepted>("POST", "/v1/events", { body: { type: "order.created", data, tenant }, headers: own });
  await post("first", headers);
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, n) => (n % 6 === 0 ? post(`other ${n}`, headers) : post(n))),
  );
  expect(answers.map((answer) => answer.status)).toEqual(answers.map((_, n) => (n % 6 === 0 ? 409 : 202)));
  expect(await eventIds()).toHaveLength(51);
});

test.concurrent("the same idempotency key of another tenant is another key", async () => {
  const [one, two] = [await subscribed(), await subscribed()];
  const idempotencyKey = randomUUID();
  const first = await e2e.api.send({ type: "order.created", data: 1, tenant: one.tenant, idempotencyKey });
  const second = await e2e.api.send({ type: "order.created", data: 1, tenant: two.tenant, idempotencyKey });
  expect(second.duplicate).toBe(false);
  expect(second.id).not.toBe(first.id);
  await two.endpoint.untilEvents([second.id]);
});

test.concurrent("an idempotency key may have 255 characters and not 256", async () => {
  const body = { type: "order.created", data: 1, tenant: newTenant() };
  const withKey = (key: string) => e2e.api.call("POST", "/v1/events", { body, headers: { "idempotency-key": key } });
  expect((await withKey("k".repeat(255))).status).toBe(202);
  expect((await withKey("k".repeat(256))).status).toBe(400);
});

test.concurrent("the same event sent twice without an idempotency key is two events", async () => {
  const { tenant, eventIds } = await subscribed();
  const first = await e2e.api.send({ type: "order.created", data: 1, tenant });
  const second = await e2e.api.send({ type: "order.created", data: 1, tenant });
  expect(new Set(await eventIds())).toEqual(new Set([first.id, second.id]));
});

test.concurrent("idempotency keys hold across batches and single events", async () => {
  const { tenant, eventIds } = await subscribed();
  const [a, b] = [randomUUID(), randomUUID()];
  const single = await e2e.api.send({ type: "order.created", data: 1, tenant, idempotencyKey: a });
  const batch = [
    { type: "order.created", data: 1, tenant, idempotencyKey: a },
    { type: "order.created", data: 2, tenant, idempotencyKey: b },
    { type: "order.created", data: 3, tenant },
  ];
  const first = await e2e.api.sendBatch(batch);
  expect(first.map((one) => one.duplicate)).toEqual([true, false, false]);
  expect(first[0]?.id).toBe(single.id);
  const second = await e2e.api.sendBatch(batch);
  expect(second.map((one) => one.duplicate)).toEqual([true, true, false]);
  expect(second.slice(0, 2).map((one) => one.id)).toEqual(first.slice(0, 2).map((one) => one.id));
  expect(await eventIds()).toHaveLength(4);
});

test.concurrent("the same idempotency key and body twice in one batch is one event", async () => {
  const { tenant, eventIds } = await subscribed();
  const event = { type: "order.created", data: 1, tenant, idempotencyKey: randomUUID() };
  const [first, second] = await e2e.api.sendBatch([event, event]);
  expect(second?.id).toBe(first?.id);
  expect([first?.duplicate, second?.duplicate]).toEqual([false, true]);
  expect(await eventIds()).toEqual([first?.id]);
});

test.concurrent("the same idempotency key with two bodies in one batch is a conflict, and nothing of the batch is stored", async () => {
  const { tenant, eventIds } = await subscribed();
  const idempotencyKey = randomUUID();
  const events = [
    { type: "order.created", data: 0, tenant },
    { type: "order.created", data: 1, tenant, idempotencyKey },
    { type: "order.created", data: 2, tenant, idempotencyKey },
  ];
  const answer = await e2e.api.call("POST", "/v1/events/batch", { body: { events } });
  expect(answer).toMatchObject({ status: 409, body: { code: "idempotency_conflict" } });
  expect(await eventIds()).toEqual([]);
});

test.concurrent("a batch that conflicts with an earlier event stores nothing", async () => {
  const { tenant, eventIds } = await subscribed();
  const idempotencyKey = randomUUID();
  const { id } = await e2e.api.send({ type: "order.created", data: 1, tenant, idempotencyKey });
  const events = [
    { type: "order.created", data: 0, tenant },
    { type: "order.created", data: "other", tenant, idempotencyKey },
  ];
  const answer = await e2e.api.call("POST", "/v1/events/batch", { body: { events } });
  expect(answer).toMatchObject({ status: 409, body: { code: "idempotency_conflict" } });
  expect(await eventIds()).toEqual([id]);
});
