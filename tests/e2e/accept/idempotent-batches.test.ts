import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import type { Accepted, Problem } from "@postrider/testkit/client/types.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";

const e2e = useSharedStack();

interface Event {
  type: string;
  data: unknown;
  tenant: string;
  idempotencyKey?: string;
}

const post = (key: string, events: readonly Event[]) =>
  e2e.api.call<{ data: Accepted[] } & Problem>("POST", "/v1/events/batch", {
    body: { events },
    headers: { "idempotency-key": key },
  });

const stored = async (tenant: string) => (await e2e.api.events({ tenant, limit: 200 })).data.length;
const orders = (count: number, tenant: string): Event[] =>
  Array.from({ length: count }, (_, order) => ({ type: "order.created", data: { order }, tenant }));

test.concurrent("a batch that is repeated under its key is stored once, and each event is a duplicate", async () => {
  const [key, tenant] = [randomUUID(), newTenant()];
  const first = await post(key, orders(5, tenant));
  expect(first.body.data.map(({ duplicate }) => duplicate)).toEqual([false, false, false, false, false]);
  const second = await post(key, orders(5, tenant));
  expect(second.status).toBe(202);
  expect(second.body.data).toEqual(first.body.data.map((event) => ({ ...event, duplicate: true })));
  expect(await stored(tenant)).toBe(5);
});

test.concurrent.each<[string, (events: Event[]) => Event[]]>([
  ["other data", ([one, ...others]) => [{ ...one!, data: "other" }, ...others]],
  ["other data in its last event", (events) => [...events.slice(0, -1), { ...events[0]!, data: "other" }]],
  ["fewer events", (events) => events.slice(0, -1)],
  ["more events", (events) => [...events, events[0]!]],
  ["another order", (events) => events.toReversed()],
])("a batch with %s under the key of another one is a conflict, and nothing of it is stored", async (_, change) => {
  const [key, tenant] = [randomUUID(), newTenant()];
  const events = orders(3, tenant);
  await post(key, events);
  const answer = await post(key, change(events));
  expect(answer).toMatchObject({
    status: 409,
    body: { code: "idempotency_conflict", errors: [{ field: "Idempotency-Key" }] },
  });
  expect(await stored(tenant)).toBe(3);
});

test.concurrent("a batch that many callers post at once under one key is stored once", async () => {
  const [key, tenant] = [randomUUID(), newTenant()];
  const answers = await Promise.all(Array.from({ length: 20 }, () => post(key, orders(10, tenant))));
  for (const { status, body } of answers) {
    expect([status, body.data.map(({ id }) => id)]).toEqual([202, answers[0]!.body.data.map(({ id }) => id)]);
  }
  expect(await stored(tenant)).toBe(10);
});

test.concurrent("an event's own key counts before that of its batch", async () => {
  const [key, own, tenant] = [randomUUID(), randomUUID(), newTenant()];
  const [one, two] = orders(2, tenant);
  const single = await e2e.api.send({ ...one!, idempotencyKey: own });
  const events = [{ ...one!, idempotencyKey: own }, two!];
  const first = await post(key, events);
  expect(first.body.data.map(({ duplicate }) => duplicate)).toEqual([true, false]);
  expect(first.body.data[0]!.id).toBe(single.id);
  const second = await post(key, events);
  expect(second.body.data.map(({ id, duplicate }) => [id, duplicate])).toEqual(
    first.body.data.map(({ id }) => [id, true]),
  );
  expect(await stored(tenant)).toBe(2);
});

test.concurrent("a batch's key is another one than an event's, and than another tenant's", async () => {
  const [key, tenant] = [randomUUID(), newTenant()];
  const batch = await post(key, orders(1, tenant));
  const single = await e2e.api.send({ ...orders(1, tenant)[0]!, idempotencyKey: key });
  expect([single.duplicate, single.id === batch.body.data[0]!.id]).toEqual([false, false]);
  expect((await post(key, orders(1, newTenant()))).body.data[0]!.duplicate).toBe(false);
  expect(await stored(tenant)).toBe(2);
});

test.concurrent("a conflict names the event whose key was used, as the batch has it", async () => {
  const tenant = newTenant();
  const [used, twice] = [randomUUID(), randomUUID()];
  const [one, two, three, four] = orders(4, tenant);
  await e2e.api.send({ ...one!, idempotencyKey: used });
  const earlier = await post(randomUUID(), [
    two!,
    { ...three!, idempotencyKey: twice },
    { ...three!, idempotencyKey: twice },
    { ...four!, idempotencyKey: used },
  ]);
  expect(earlier).toMatchObject({ status: 409, body: { errors: [{ field: "events[3].idempotencyKey" }] } });
  expect(earlier.body.detail).toContain("events[3]");
  const within = await post(randomUUID(), [
    { ...two!, idempotencyKey: twice },
    one!,
    { ...three!, idempotencyKey: twice },
  ]);
  expect(within).toMatchObject({ status: 409, body: { errors: [{ field: "events[2].idempotencyKey" }] } });
  expect(await stored(tenant)).toBe(1);
});

test.concurrent("a conflict is named also where other callers' batches share its flush", async () => {
  const tenant = newTenant();
  const used = randomUUID();
  await e2e.api.send({ ...orders(1, tenant)[0]!, idempotencyKey: used });
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, n) => {
      const events = orders(n + 2, newTenant());
      if (n % 3 === 0) events.push({ type: "order.paid", data: n, tenant, idempotencyKey: used });
      return post(randomUUID(), events);
    }),
  );
  for (const [n, { status, body }] of answers.entries()) {
    if (n % 3 !== 0) expect(status).toBe(202);
    else expect([status, body.errors?.[0]?.field]).toEqual([409, `events[${n + 2}].idempotencyKey`]);
  }
});

test.concurrent("no caller's key can be one of a batch's", async () => {
  const tenant = newTenant();
  const key = randomUUID();
  await post(key, orders(1, tenant));
  const answer = await e2e.api.call<Problem>("POST", "/v1/events/batch", {
    body: { events: [{ ...orders(1, tenant)[0]!, idempotencyKey: `batch 0\u001f${key}` }] },
  });
  expect(answer).toMatchObject({ status: 400, body: { errors: [{ field: "events.0.idempotencyKey" }] } });
});

test.concurrent.each<[string, (events: Event[]) => Event[]]>([
  ["other data", ([one, ...others]) => [{ ...one!, data: "other" }, ...others]],
  ["other keys", (events) => events.map((event) => ({ ...event, idempotencyKey: randomUUID() }))],
  ["one event", () => [{ type: "order.created", data: 1, tenant: "", idempotencyKey: randomUUID() }]],
  ["its tenants in another order", (events) => events.toReversed()],
])("a batch whose events have keys of their own conflicts with another that has %s", async (_, change) => {
  const [key, tenant, other] = [randomUUID(), newTenant(), newTenant()];
  const events = [...orders(2, tenant), ...orders(1, other)].map((event) => ({
    ...event,
    idempotencyKey: randomUUID(),
  }));
  const first = await post(key, events);
  expect(first.status).toBe(202);
  const changed = change(events).map((event) => ({ ...event, tenant: event.tenant || tenant }));
  const answer = await post(key, changed);
  expect(answer).toMatchObject({
    status: 409,
    body: { code: "idempotency_conflict", errors: [{ field: "Idempotency-Key" }] },
  });
  expect([await stored(tenant), await stored(other)]).toEqual([2, 1]);
  // Nor are the refused batch's keys used.
  for (const event of changed.filter(({ idempotencyKey }) => !events.some((e) => e.idempotencyKey === idempotencyKey)))
    expect((await e2e.api.send({ ...event, data: randomUUID() })).duplicate).toBe(false);
  const second = await post(key, events);
  expect(second.body.data).toEqual(first.body.data.map((event) => ({ ...event, duplicate: true })));
});
