import { afterAll, expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import type { Endpoint } from "@postrider/testkit/receiver/endpoint.ts";
import { startDnsServer } from "@postrider/testkit/servers/dns.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const dns = await startDnsServer({
  "healthy.example": { a: ["127.0.0.1"], ttl: 1 },
  "silent.example": "silent",
  "failing.example": "servfail",
  "half.example": { aaaa: ["fd00::1"], only: { A: "servfail" } },
  "private.example": { a: ["10.0.0.1"], aaaa: ["fd00::1"] },
  "mixed.example": { a: ["10.0.0.1", "127.0.0.1"] },
});
afterAll(() => dns.close());
const e2e = useStack({ workers: 2, env: { DNS_SERVERS: dns.address } });

/** Closes each connection after its response, so that every delivery needs a look-up. */
const closing = answer(200, { headers: { connection: "close" } });
const HEALTHY = 40;

interface Healthy {
  tenant: string;
  endpoints: Endpoint[];
  ids: string[];
}

const at = (endpoint: Endpoint, host: string): string => endpoint.url.replace("127.0.0.1", host);

/** Subscriptions with names that resolve, and that have succeeded once. */
async function subscribeHealthy(tenant: string): Promise<Healthy> {
  const endpoints = Array.from({ length: HEALTHY }, () => e2e.receiver.endpoint(closing));
  const made = await Promise.all(
    endpoints.map((endpoint, index) =>
      e2e.api.subscribe({ tenant, url: at(endpoint, `${index}.healthy.example`), eventTypes: ["healthy"] }),
    ),
  );
  const healthy = { tenant, endpoints, ids: made.map(({ id }) => id) };
  await deliver(healthy);
  return healthy;
}

/** Sends one event to each of them, and expects one attempt each, in time. */
async function deliver({ tenant, endpoints, ids }: Healthy): Promise<void> {
  const { id } = await e2e.api.send({ type: "healthy", data: 1, tenant });
  await Promise.all(endpoints.map((endpoint) => endpoint.untilEvents([id])));
  const deliveries = await waitFor("all are delivered", async () => {
    const { data } = await e2e.api.deliveries({ event: id, limit: 200 });
    return data.every(({ status }) => status === "delivered") && data;
  });
  expect(deliveries.map(({ attemptCount }) => attemptCount)).toEqual(ids.map(() => 1));
}

const subscribeDead = (tenant: string, count: number) =>
  Promise.all(
    Array.from({ length: count }, (_, index) =>
      e2e.api.subscribe({
        tenant,
        url: `http://${index}.${tenant}.silent.example/hook`,
        eventTypes: ["dead"],
        retrySchedule: ["1s", "1s"],
      }),
    ),
  );

test.each([
  { count: 64, of: "another tenant" },
  { count: 256, of: "another tenant" },
  { count: 256, of: "the same tenant" },
])(
  "$count subscriptions of $of whose name servers never answer cost others no attempt, no breaker and no accepted event",
  async ({ count, of }) => {
    // Its connections are made while names are looked up.
    const databaseUrl = e2e.stack.databaseUrl.replace("127.0.0.1", "localhost");
    await e2e.stack.restartIngest("SIGTERM", { DATABASE_URL: databaseUrl });
    const healthy = await subscribeHealthy(newTenant());
    const dead = of === "the same tenant" ? healthy.tenant : newTenant();
    const subscribing = subscribeDead(dead, count);
    const other = newTenant();
    await Promise.all(
      Array.from({ length: 40 }, (_, data) => e2e.api.send({ type: "order.created", data, tenant: other })),
    );
    await subscribing;

    const event = await e2e.api.send({ type: "dead", data: 1, tenant: dead });
    expect(event.deliveries).toBe(count);
    for (let round = 0; round < 10; round += 1) await deliver(healthy);
    for (const id of healthy.ids) {
      expect((await e2e.api.subscription(id)).breaker).toEqual({ state: "closed", failures: 0, retryAt: null });
    }
    const failed = await waitFor(
      "an attempt to a dead one has failed",
      async () => (await e2e.api.deliveries({ event: event.id, limit: 200 })).data.find((one) => one.attemptCount > 0),
      { within: 60_000 },
    );
    const { attempts } = await e2e.api.delivery(failed.id);
    expect(attempts[0]).toMatchObject({ error: expect.stringMatching(/name servers of the host do not answer/) });
    for (let round = 0; round < 5; round += 1) await deliver(healthy);
  },
);

test("a subscription is refused if its name has only addresses that are not allowed, and accepted if it does not resolve", async () => {
  const tenant = newTenant();
  const create = (host: string) =>
    e2e.api.call<{ id: string }>("POST", "/v1/subscriptions", { body: { tenant, url: `http://${host}/hook` } });
  for (const host of ["nobody.example", "shop.failing.example", "shop.silent.example", "mixed.example"]) {
    const { status, body } = await create(host);
    expect(status).toBe(201);
    const change = { body: { url: "http://private.example/hook" } };
    expect(await e2e.api.call("PATCH", `/v1/subscriptions/${body.id}`, change)).toMatchObject({ status: 422 });
  }
  expect(await create("private.example")).toMatchObject({ status: 422, body: { code: "address_not_allowed" } });
});

test("a name that its servers fail for spends attempts and opens its breaker", async () => {
  const tenant = newTenant();
  const { id } = await e2e.api.subscribe({ tenant, url: "http://shop.failing.example/", retrySchedule: ["24h"] });
  for (let n = 0; n < 5; n += 1) await e2e.api.send({ type: "order.created", data: n, tenant });
  await waitFor("its breaker is open", async () => (await e2e.api.subscription(id)).breaker.state !== "closed");
  expect((await e2e.api.subscription(id)).lastError).toContain("ESERVFAIL");
});

test("half an answer with an address that is not allowed is a failed attempt, and makes no dead letter", async () => {
  const tenant = newTenant();
  await e2e.api.subscribe({ tenant, url: "http://half.example/", retrySchedule: ["24h"] });
  const { id } = await e2e.api.send({ type: "order.created", data: 1, tenant });
  expect(await e2e.api.untilDelivery(id, "retrying")).toMatchObject({
    attemptCount: 1,
    lastError: expect.stringContaining("ESERVFAIL") as string,
  });
});

test.each(["silent", "servfail"] as const)(
  "while our own DNS servers are %s, deliveries wait and no attempt is spent; they are delivered when the servers are back",
  async (outage) => {
    const tenant = newTenant();
    const endpoint = e2e.receiver.endpoint(closing);
    const url = at(endpoint, `${outage}.healthy.example`);
    const { id } = await e2e.api.subscribe({ tenant, url, retrySchedule: [] });
    const first = await e2e.api.send({ type: "order.created", data: 1, tenant });
    await e2e.api.untilDelivery(first.id, "delivered");
    const asked = dns.questions.length;
    await waitFor("the address has expired", async () => {
      await e2e.api.send({ type: "order.created", data: 1, tenant });
      return dns.questions.length > asked;
    });
    dns.override = outage;
    const sent: string[] = [];
    await waitFor("a delivery waits", async () => {
      sent.push((await e2e.api.send({ type: "order.created", data: 1, tenant })).id);
      const { data } = await e2e.api.deliveries({ subscription: id, limit: 200 });
      return data.some(({ status, attemptCount, lastError }) => {
        const isWaiting = status === "retrying" && attemptCount === 0;
        return isWaiting && lastError === "not sent: the DNS servers of this machine do not answer";
      });
    });
    dns.override = undefined;
    for (const event of sent) {
      expect(await e2e.api.untilDelivery(event, "delivered")).toMatchObject({ attemptCount: 1, lastError: null });
    }
    expect((await e2e.api.subscription(id)).breaker).toEqual({ state: "closed", failures: 0, retryAt: null });
  },
);
