import { beforeAll, expect, test } from "vitest";
import { everyPage } from "@postrider/testkit/client/client.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const e2e = useSharedStack();
const tenant = newTenant();
const ids = (rows: { id: string }[]) => rows.map((row) => row.id);

/** Two lots of events with a moment between them that no event shares. */
const early: string[] = [];
const late: string[] = [];
let between = "";
let good = "";
let bad = "";

beforeAll(async () => {
  good = (await e2e.api.subscribe({ tenant, url: e2e.receiver.endpoint().url })).id;
  const broken = e2e.receiver.endpoint(answer(410));
  bad = (await e2e.api.subscribe({ tenant, url: broken.url, eventTypes: ["order.paid"] })).id;
  const one = async (type: string) => (await e2e.api.send({ type, data: 1, tenant })).id;
  for (let n = 0; n < 5; n += 1) early.push(await one("order.created"));
  const moment = Date.now() + 50;
  between = new Date(moment).toISOString();
  await waitFor("the moment between has passed", () => Date.now() > moment + 50);
  late.push(await one("order.paid"));
  for (let n = 0; n < 4; n += 1) late.push(await one("order.created"));
  await waitFor("11 deliveries are settled", async () => {
    const { data } = await e2e.api.deliveries({ tenant });
    return data.length === 11 && data.every((delivery) => delivery.settledAt !== null);
  });
});

test.concurrent.each([1, 3, 5, 10, 200])(
  "paging through events with limit %i returns each exactly once, newest first",
  async (limit) => {
    const pages = await everyPage((query) => e2e.api.events(query), { tenant, limit });
    expect(ids(pages.flat())).toEqual([...early, ...late].reverse());
    for (const page of pages.slice(0, -1)) expect(page).toHaveLength(limit);
    expect(pages.length).toBeLessThanOrEqual(Math.floor(10 / limit) + 1);
  },
);

test.concurrent("paging through deliveries returns each exactly once, newest first", async () => {
  const all = (await e2e.api.deliveries({ tenant })).data;
  const pages = await everyPage((query) => e2e.api.deliveries(query), { tenant, limit: 2 });
  expect(ids(pages.flat())).toEqual(ids(all));
  expect(new Set(ids(all)).size).toBe(11);
  const times = all.map((delivery) => Date.parse(delivery.createdAt));
  expect(times).toEqual(times.toSorted((a, b) => b - a));
});

test.concurrent("paging through subscriptions returns each exactly once, newest first", async () => {
  const own = newTenant();
  const made: string[] = [];
  for (let n = 0; n < 5; n += 1) {
    made.push((await e2e.api.subscribe({ tenant: own, url: e2e.receiver.endpoint().url })).id);
  }
  const pages = await everyPage((query) => e2e.api.subscriptions(query), { tenant: own, limit: 2 });
  expect(ids(pages.flat())).toEqual(made.reverse());
});

test.concurrent("paging through an event's deliveries returns each exactly once", async () => {
  const own = newTenant();
  for (let n = 0; n < 5; n += 1) await e2e.api.subscribe({ tenant: own, url: e2e.receiver.endpoint().url });
  const { id } = await e2e.api.send({ type: "order.created", data: 1, tenant: own });
  const pages = await everyPage(
    async (query) => {
      const text = new URLSearchParams(query as Record<string, string>).toString();
      const page = await e2e.api.call<{ data: { id: string }[]; nextCursor: string | null }>(
        "GET",
        `/v1/events/${id}/deliveries?${text}`,
      );
      return page.body;
    },
    { limit: 2 },
  );
  expect(new Set(ids(pages.flat())).size).toBe(5);
  expect(pages.flat()).toHaveLength(5);
});

test.concurrent("every list has the same rows oldest first, over its pages", async () => {
  const own = newTenant();
  for (let n = 0; n < 5; n += 1) await e2e.api.subscribe({ tenant: own, url: e2e.receiver.endpoint().url });
  await e2e.api.send({ type: "order.created", data: 1, tenant: own });
  await e2e.api.send({ type: "order.created", data: 2, tenant: own });
  for (const list of ["events", "subscriptions", "deliveries"] as const) {
    const read = async (query: object) => {
      const text = new URLSearchParams({ ...query, tenant: own } as Record<string, string>).toString();
      return (await e2e.api.call<{ data: { id: string }[]; nextCursor: string | null }>("GET", `/v1/${list}?${text}`))
        .body;
    };
    const newestFirst = ids((await everyPage(read, { limit: 3 })).flat());
    expect(newestFirst.length).toBeGreaterThan(1);
    expect(ids((await everyPage(read, { limit: 3, order: "asc" })).flat())).toEqual(newestFirst.toReversed());
  }
});

test.concurrent("events that arrive between two pages do not disturb paging", async () => {
  const own = newTenant();
  const before = await e2e.api.sendBatch(Array.from({ length: 6 }, (_, n) => ({ type: "a", data: n, tenant: own })));
  const walked: string[] = [];
  let cursor: string | null = null;
  do {
    const page = await e2e.api.events({ tenant: own, limit: 2, ...(cursor === null ? {} : { cursor }) });
    walked.push(...ids(page.data));
    cursor = page.nextCursor;
    await e2e.api.send({ type: "b", data: 1, tenant: own });
  } while (cursor !== null);
  expect(walked).toHaveLength(6);
  expect(walked.toSorted()).toEqual(ids(before).toSorted());
});

test.concurrent("a list without a limit returns 50 rows", async () => {
  const own = newTenant();
  await e2e.api.sendBatch(Array.from({ length: 60 }, (_, n) => ({ type: "a", data: n, tenant: own })));
  const page = await e2e.api.events({ tenant: own });
  expect(page.data).toHaveLength(50);
  expect(page.nextCursor).toEqual(expect.any(String));
});

const events = async (query: Record<string, string>) => ids((await e2e.api.events({ tenant, ...query })).data);
const deliveries = async (query: Record<string, string>) => (await e2e.api.deliveries({ tenant, ...query })).data;

test.concurrent("events are filtered by tenant", async () => {
  expect((await e2e.api.events({ tenant: newTenant() })).data).toEqual([]);
  const { data } = await e2e.api.events({ tenant });
  expect(new Set(data.map((event) => event.tenant))).toEqual(new Set([tenant]));
});

test.concurrent("events are filtered by their exact type", async () => {
  expect(await events({ type: "order.paid" })).toEqual([late[0]]);
  expect(await events({ type: "order" })).toEqual([]);
});

test.concurrent("events are filtered by since and until", async () => {
  expect(await events({ since: between })).toEqual(late.toReversed());
  expect(await events({ until: between })).toEqual(early.toReversed());
  expect(await events({ since: between, until: between })).toEqual([]);
  expect(await events({ since: between, type: "order.paid" })).toEqual([late[0]]);
});

test.concurrent("filtered events are paged", async () => {
  const pages = await everyPage((query) => e2e.api.events(query), { tenant, until: between, limit: 2 });
  expect(ids(pages.flat())).toEqual(early.toReversed());
});

test.concurrent("deliveries are filtered by subscription", async () => {
  expect(await deliveries({ subscription: good })).toHaveLength(10);
  expect(await deliveries({ subscription: bad })).toMatchObject([{ subscription: bad, event: late[0] }]);
});

test.concurrent("deliveries are filtered by event", async () => {
  expect((await deliveries({ event: late[0] ?? "" })).map((one) => one.subscription).sort()).toEqual(
    [good, bad].sort(),
  );
  expect(await deliveries({ event: early[0] ?? "" })).toHaveLength(1);
});

test.concurrent("deliveries are filtered by status", async () => {
  expect(await deliveries({ status: "dead" })).toMatchObject([{ status: "dead", subscription: bad }]);
  expect(await deliveries({ status: "delivered" })).toHaveLength(10);
  expect(await deliveries({ status: "pending" })).toEqual([]);
  expect(await deliveries({ status: "delivered", subscription: bad })).toEqual([]);
});

test.concurrent("deliveries are filtered by since, until and tenant", async () => {
  expect(await deliveries({ since: between })).toHaveLength(6);
  expect(await deliveries({ until: between })).toHaveLength(5);
  expect((await e2e.api.deliveries({ tenant: newTenant() })).data).toEqual([]);
});

test.concurrent("subscriptions are filtered by tenant and status", async () => {
  const own = newTenant();
  const made = [];
  for (let n = 0; n < 2; n += 1) {
    made.push((await e2e.api.subscribe({ tenant: own, url: e2e.receiver.endpoint().url })).id);
  }
  const [active = "", paused = ""] = made;
  await e2e.api.pause(paused);
  expect(ids((await e2e.api.subscriptions({ tenant: own, status: "paused" })).data)).toEqual([paused]);
  expect(ids((await e2e.api.subscriptions({ tenant: own, status: "active" })).data)).toEqual([active]);
  expect((await e2e.api.subscriptions({ tenant: own, status: "disabled" })).data).toEqual([]);
  expect(ids((await e2e.api.subscriptions({ tenant, status: "disabled" })).data)).toEqual([bad]);
});
