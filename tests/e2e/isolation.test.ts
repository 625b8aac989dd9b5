import { expect, test } from "vitest";
import { answer, silence } from "../support/receiver.ts";
import { newTenant, useStack } from "../support/stack.ts";
import { waitFor } from "../support/wait.ts";

const e2e = useStack({ env: { MAX_IN_FLIGHT: "64" } });

const orders = (count: number, tenant: string) =>
  Array.from({ length: count }, (_, order) => ({ type: "order.created", data: order, tenant }));

test("a subscriber that hangs does not delay another that is in the same batches", async () => {
  const tenant = newTenant();
  const [slow, fast] = [e2e.receiver.endpoint(silence), e2e.receiver.endpoint()];
  await e2e.api.subscribe({ tenant, url: slow.url });
  await e2e.api.subscribe({ tenant, url: fast.url });
  const started = Date.now();
  const accepted = await e2e.api.sendBatch(orders(200, tenant));
  await fast.untilEvents(accepted.map((event) => event.id));
  const last = Math.max(...fast.requests.map((request) => request.at));
  // One after the other, 200 timeouts of a second at 32 in flight would take six seconds.
  expect(last - started).toBeLessThan(3_000);
});

test("what a dead subscriber's backlog costs is one probe per cooldown, and it is delivered when the subscriber is back", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint(answer(500));
  const { id } = await e2e.api.subscribe({ tenant, url: endpoint.url, retrySchedule: ["1h"] });
  for (let failed = 1; failed <= 5; failed += 1) {
    const event = await e2e.api.send({ type: "order.created", data: failed, tenant });
    await e2e.api.untilDelivery(event.id, "retrying");
  }
  const opened = Date.now();
  const { breaker } = await e2e.api.subscription(id);
  expect(breaker.state).toBeOneOf(["open", "half_open"]);
  expect(breaker.failures).toBeGreaterThanOrEqual(5);
  expect(breaker.retryAt).toEqual(expect.any(String));

  const backlog = (await e2e.api.sendBatch(orders(100, tenant))).map((event) => event.id);
  await waitFor("the backlog is held", async () => {
    const { data } = await e2e.api.deliveries({ tenant, status: "held", limit: 200 });
    return data.length === 100 && data.every((delivery) => delivery.heldReason === "breaker");
  });
  expect((await e2e.api.subscription(id)).held).toBe(100);
  await endpoint.untilRequests(7);
  const probes = endpoint.requests.slice(5);
  // The breaker opened a moment before this test saw it.
  expect(probes.length).toBeLessThanOrEqual(Math.floor((Date.now() - opened + 300) / 1_000));
  await waitFor("the probes are recorded as such", async () => {
    const ids = probes.map((request) => String(request.headers["webhook-id"]));
    const deliveries = await Promise.all(ids.map((eventId) => e2e.api.deliveryOf(eventId)));
    return deliveries.every((one) => one.attempts.some((attempt) => attempt.trigger === "probe"));
  });

  endpoint.behave(answer(200));
  await endpoint.untilEvents(backlog, { within: 20_000 });
  await waitFor("the breaker is closed", async () => (await e2e.api.subscription(id)).breaker.state === "closed");
  await waitFor("nothing is held", async () => (await e2e.api.subscription(id)).held === 0);
});

test("a rate limit paces deliveries and loses none of them", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  await e2e.api.subscribe({ tenant, url: endpoint.url, rateLimit: 10 });
  const accepted = await e2e.api.sendBatch(orders(30, tenant));
  await endpoint.untilEvents(
    accepted.map((event) => event.id),
    { within: 15_000 },
  );
  const times = endpoint.requests.map((request) => request.at).sort((a, b) => a - b);
  expect(times).toHaveLength(30);
  // 10 a second and a burst of 5: at most 15 in any second, with a little room for what is late on its way.
  for (const start of times) {
    expect(times.filter((time) => time >= start && time < start + 1_000).length).toBeLessThanOrEqual(18);
  }
  expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(2_000);
});

test("maxInFlight bounds the requests that one worker has open at a subscriber", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint(answer(200, { afterMs: 50 }));
  await e2e.api.subscribe({ tenant, url: endpoint.url, maxInFlight: 3 });
  const accepted = await e2e.api.sendBatch(orders(40, tenant));
  await endpoint.untilEvents(
    accepted.map((event) => event.id),
    { within: 20_000 },
  );
  expect(endpoint.peakInFlight).toBeLessThanOrEqual(3);
  expect(endpoint.requests).toHaveLength(40);
});
