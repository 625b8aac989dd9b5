import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Problem } from "@postrider/testkit/client/types.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { type Receiver, startReceiver } from "@postrider/testkit/receiver/receiver.ts";
import { whyNoLoopbackAddresses } from "@postrider/testkit/servers/loopback.ts";
import { THRESHOLD } from "@postrider/testkit/stack/settings.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { skipBecause, useStack } from "@postrider/testkit/vitest.ts";

// The worker may reach less than ingest: so a subscription can be made whose address the worker then refuses, as it is
// with a name that changes where it points.
const e2e = useStack({ workers: 0 });
let allowed: Receiver;
let otherPort: Receiver;

const noAddresses = await whyNoLoopbackAddresses();
beforeEach((context) => {
  if (noAddresses !== undefined) skipBecause(context, noAddresses);
});
beforeAll(async () => {
  if (noAddresses !== undefined) return;
  allowed = await startReceiver({ host: "127.0.0.2" });
  otherPort = await startReceiver({ host: "127.0.0.2" });
  const ports = [allowed, e2e.receiver].map((receiver) => new URL(receiver.endpoint().url).port);
  await e2e.stack.startWorker({ ALLOWED_NETWORKS: "127.0.0.2/32", ALLOWED_PORTS: ports.join() });
});
afterAll(() => Promise.all([allowed?.close(), otherPort?.close()]));

const privateHosts = [
  "10.0.0.1",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "169.254.169.254",
  "168.63.129.16",
  "100.64.0.1",
  "0.0.0.0",
  "224.0.0.1",
  "240.0.0.1",
  "255.255.255.255",
  "198.18.0.1",
  "192.0.2.1",
  "[::]",
  "[::ffff:10.0.0.1]",
  "[::ffff:a9fe:a9fe]",
  "[64:ff9b::a00:1]",
  "[fc00::1]",
  "[fd00:ec2::254]",
  "[fd12:3456::1]",
  "[fe80::1]",
  "[ff02::1]",
  "[2001:db8::1]",
  "167772161",
  "0x0a000001",
  "012.0.0.1",
  "10.1",
];

test.concurrent.each(privateHosts)("a subscription to the private address %s is refused", async (host) => {
  const answer = await e2e.api.call<Problem>("POST", "/v1/subscriptions", {
    body: { url: `http://${host}/hook`, tenant: newTenant() },
  });
  expect(answer).toMatchObject({ status: 422, body: { code: "address_not_allowed", status: 422 } });
  expect(answer.headers.get("content-type")).toMatch(/^application\/problem\+json/);
});

test.concurrent("changing a subscription to a private address is refused, and the subscription stays as it was", async () => {
  const { url } = e2e.receiver.endpoint();
  const { id } = await e2e.api.subscribe({ tenant: newTenant(), url });
  const answer = await e2e.api.call("PATCH", `/v1/subscriptions/${id}`, { body: { url: "http://10.0.0.1/" } });
  expect(answer).toMatchObject({ status: 422, body: { code: "address_not_allowed" } });
  expect((await e2e.api.subscription(id)).url).toBe(url);
});

test.concurrent.each([22, 25, 81, 1_023, 6_000, 6_667])("a subscription to port %i is refused", async (port) => {
  const url = `https://8.8.8.8:${port}/hook`;
  const { id } = await e2e.api.subscribe({ tenant: newTenant(), url: e2e.receiver.endpoint().url });
  const refusal = { status: 422, body: { code: "address_not_allowed", errors: [{ field: "url" }] } };
  const create = { tenant: newTenant(), url };
  expect(await e2e.api.call("POST", "/v1/subscriptions", { body: create })).toMatchObject(refusal);
  expect(await e2e.api.call("PATCH", `/v1/subscriptions/${id}`, { body: { url } })).toMatchObject(refusal);
});

test.concurrent("a worker sends nothing to a port that is not allowed", async () => {
  const endpoint = otherPort.endpoint();
  const event = await sendTo(endpoint.url);
  const delivery = await e2e.api.untilDelivery(event.id, "dead");
  expect(delivery).toMatchObject({
    deadReason: "blocked",
    lastError: "deliveries may not use the port of the URL",
    attempts: [{ error: "deliveries may not use the port of the URL" }],
  });
  expect(endpoint.requests).toHaveLength(0);
});

test.concurrent("a subscription to a private address is accepted if the operator allows its network", async () => {
  await e2e.api.subscribe({ tenant: newTenant(), url: "http://127.0.0.1:9/hook" });
});

async function sendTo(url: string) {
  const tenant = newTenant();
  await e2e.api.subscribe({ tenant, url });
  return e2e.api.send({ type: "order.created", data: 1, tenant });
}

test.concurrent("a worker delivers to an address in an allowed network", async () => {
  const endpoint = allowed.endpoint();
  const event = await sendTo(endpoint.url);
  await e2e.api.untilDelivery(event.id, "delivered");
  expect(endpoint.requests).toHaveLength(1);
});

test.concurrent.each([
  ["a name that resolves to an address that is not allowed", "localhost"],
  ["an address that is not allowed", "127.0.0.1"],
])("a worker sends nothing to %s and dead-letters the delivery as blocked", async (_name, host) => {
  const endpoint = e2e.receiver.endpoint();
  const event = await sendTo(endpoint.url.replace("127.0.0.1", host));
  const delivery = await e2e.api.untilDelivery(event.id, "dead");
  expect(delivery).toMatchObject({ deadReason: "blocked", nextAttemptAt: null });
  expect(delivery.lastError).toBe("deliveries may not reach the address of the host");
  expect(endpoint.requests).toHaveLength(0);
});

test.concurrent("a blocked address does not open the breaker of its subscription", async () => {
  const subscriber = await newSubscriber(e2e);
  const sent = await subscriber.send(2 * THRESHOLD);
  for (const delivery of await subscriber.untilEvery(sent, "dead")) {
    expect(delivery).toMatchObject({ deadReason: "blocked" });
  }
  const { status, breaker, held } = await subscriber.look();
  expect({ status, breaker, held }).toEqual({
    status: "active",
    breaker: { state: "closed", failures: 0, retryAt: null },
    held: 0,
  });
  expect(subscriber.endpoint.requests).toHaveLength(0);
});
