import { expect, test } from "vitest";
import { answer, silence } from "@postrider/testkit/receiver/behaviours.ts";
import { PATIENT } from "@postrider/testkit/stack/settings.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useStack } from "@postrider/testkit/vitest.ts";

const slots = 64;
const e2e = useStack({ env: { ...PATIENT, MAX_IN_FLIGHT: String(slots) } });

const orders = (count: number, tenant: string) =>
  Array.from({ length: count }, (_, order) => ({ type: "order.created", data: order, tenant }));

test("a subscriber that hangs does not delay another that is in the same batches", async () => {
  const fast = await newSubscriber(e2e);
  const hanging = e2e.receiver.endpoint(silence);
  await e2e.api.subscribe({ tenant: fast.tenant, url: hanging.url, timeoutMs: 1_000 });
  const started = Date.now();
  const sent = await fast.send(200);
  await fast.endpoint.untilEvents(sent);
  // One after the other, 200 timeouts of a second at 32 in flight would take six seconds.
  expect(Math.max(...fast.endpoint.requests.map((request) => request.at)) - started).toBeLessThan(3_000);
});

test("a subscriber that takes a second for each does not delay another, in the same batches and after them", async () => {
  const fast = await newSubscriber(e2e);
  const slow = e2e.receiver.endpoint(answer(200, { afterMs: 1_000 }));
  const { id } = await e2e.api.subscribe({ tenant: fast.tenant, url: slow.url, timeoutMs: 30_000 });
  const started = Date.now();
  const sent = await fast.send(100);
  await fast.endpoint.untilEvents(sent);
  expect(Math.max(...fast.endpoint.requests.map((request) => request.at)) - started).toBeLessThan(3_000);
  sent.push(...(await fast.send(1)));
  await fast.endpoint.untilEvents(sent);
  expect(slow.requests.length).toBeLessThan(100);

  await slow.untilEvents(sent, { within: 40_000 });
  expect(slow.requests).toHaveLength(sent.length);
  expect(slow.peakInFlight).toBeLessThanOrEqual(32);
  expect((await e2e.api.subscription(id)).breaker.state).toBe("closed");
});

test("a tenant that floods does not make another wait until its flood has drained", async () => {
  // It keeps every slot taken: 2,000 at 64 times 200 ms take six seconds.
  const flooding = await newSubscriber(e2e, answer(200, { afterMs: 200 }), { maxInFlight: 1_000 });
  const light = await newSubscriber(e2e);
  const flood = 2_000;
  for (let sent = 0; sent < flood; sent += 1_000) await e2e.api.sendBatch(orders(1_000, flooding.tenant));
  await flooding.endpoint.untilRequests(1);
  const lights: string[] = [];
  for (let n = 0; n < 10; n += 1) lights.push(...(await light.send(1)));
  await light.endpoint.untilEvents(lights, { within: 30_000 });
  expect(flooding.endpoint.requests.length).toBeLessThan(flood / 2);
  flooding.endpoint.behave(answer(200));
  await flooding.endpoint.untilRequests(flood, { within: 60_000 });
});
