import { expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { callsTo, expectProblem } from "../api/problems.ts";

const e2e = useStack();
const { call } = callsTo(e2e);

test("a ring of subscriptions whose URLs retry each other's deliveries ends with its first request", async () => {
  const tenant = newTenant();
  const { url } = e2e.receiver.endpoint();
  const ring = await Promise.all(
    Array.from({ length: 5 }, async (_, n) => {
      const { id } = await e2e.api.subscribe({
        tenant,
        url,
        eventTypes: [`ring.${n}`],
        headers: { authorization: `Bearer ${e2e.api.key}` },
      });
      const event = await e2e.api.send({ type: `ring.${n}`, data: n, tenant });
      return { id, event: event.id, delivery: (await e2e.api.untilDelivery(event.id, "delivered")).id };
    }),
  );
  for (const [n, { id }] of ring.entries()) {
    const next = ring[(n + 1) % ring.length]!;
    await e2e.api.changeSubscription(id, { url: `${e2e.api.baseUrl}/v1/deliveries/${next.delivery}/retry` });
  }
  await e2e.api.retry(ring[0]!.delivery);
  const { attempts } = await e2e.api.untilDelivery(ring[0]!.event, "dead");
  // The first one is the event's own delivery.
  const looped = attempts.filter(({ number }) => number > 1);
  expect(new Set(looped.map(({ responseStatus }) => responseStatus))).toEqual(new Set([508]));
  for (const { event } of ring.slice(1)) {
    expect(await e2e.api.deliveryOf(event)).toMatchObject({ status: "delivered", attemptCount: 1 });
  }
});

test.each([
  ["webhook-id", "evt_01h455vb4pex5vsknk084sn02q"],
  ["user-agent", "Postrider/0.1.0"],
])("a request with the %s of a delivery changes nothing, and may read", async (name, value) => {
  const headers = { [name]: value };
  const tenant = newTenant();
  const { id } = await e2e.api.subscribe({ tenant, url: "http://127.0.0.1:9/" });
  const before = await e2e.api.subscription(id);
  for (const [method, path, body] of [
    ["POST", "/v1/events", { type: "order.created", data: 1, tenant }],
    ["POST", "/v1/events/batch", { events: [{ type: "order.created", data: 1, tenant }] }],
    ["POST", "/v1/subscriptions", { url: "http://127.0.0.1:9/", tenant }],
    ["PATCH", `/v1/subscriptions/${id}`, { description: "changed" }],
    ["POST", `/v1/subscriptions/${id}/pause`, {}],
    ["POST", `/v1/subscriptions/${id}/secret/rotate`, {}],
    ["DELETE", `/v1/subscriptions/${id}`, undefined],
  ] as const) {
    const answer = await call(method, path, { headers, ...(body === undefined ? {} : { body }) });
    expectProblem(answer, 508);
    expect(answer.body.code).toBe("loop_detected");
  }
  expect((await call("GET", `/v1/subscriptions/${id}`, { headers })).body).toEqual(before);
  expect((await e2e.api.events({ tenant })).data).toEqual([]);
  expect((await e2e.api.subscriptions({ tenant })).data).toHaveLength(1);
});

test.each(["msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", "evt_1", "3f8a"])(
  "another sender's webhook, with the id %s, may be forwarded as it came",
  async (id) => {
    const body = { type: "order.created", data: 1, tenant: newTenant() };
    expect((await call("POST", "/v1/events", { headers: { "webhook-id": id }, body })).status).toBe(202);
  },
);
