import { expect, test } from "vitest";
import type { NewSubscription } from "@postrider/testkit/client/types.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { answer, drip, endlessBody, gzipBomb, silence } from "@postrider/testkit/receiver/behaviours.ts";
import type { Behaviour } from "@postrider/testkit/receiver/request.ts";
import { THRESHOLD } from "@postrider/testkit/stack/settings.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const e2e = useSharedStack();
const kept = 16 * 1024;

async function sendTo(behaviour: Behaviour, policy: Partial<NewSubscription> = {}) {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint(behaviour);
  // Long, so that a busy machine causes no timeout where a test does not ask for one.
  await e2e.api.subscribe({ tenant, url: endpoint.url, timeoutMs: 30_000, ...policy });
  const event = await e2e.api.send({ type: "order.created", data: 1, tenant });
  return { endpoint, event };
}

const once = { timeoutMs: 300, retrySchedule: ["50ms"] };
const slow: [string, Behaviour][] = [
  ["never answers", silence],
  ["answers after the timeout", answer(200, { afterMs: 120_000 })],
];
test.concurrent.each(slow)(
  "a subscriber that %s is cut off at the timeout, which is a failed attempt",
  async (_name, behaviour) => {
    const { endpoint, event } = await sendTo(behaviour, once);
    const delivery = await e2e.api.untilDelivery(event.id, "dead");
    expect(delivery).toMatchObject({ deadReason: "exhausted", attemptCount: 2 });
    for (const attempt of delivery.attempts) {
      expect(attempt.error).toMatch(/time|within/i);
      expect(attempt.durationMs).toBeGreaterThanOrEqual(295);
    }
    await waitFor("both connections are closed", () => endpoint.inFlight === 0);
    expect(endpoint.requests.every((request) => request.cutShort)).toBe(true);
  },
);

test.concurrent("a 200 whose body does not end by the timeout is a delivery, with a note on the attempt", async () => {
  const { endpoint, event } = await sendTo(drip(), once);
  const { attempts, lastError } = await e2e.api.untilDelivery(event.id, "delivered");
  expect(attempts).toMatchObject([{ responseStatus: 200, error: expect.stringMatching(/body is incomplete.*within/) }]);
  expect(lastError).toBeNull();
  await waitFor("the connection is closed", () => endpoint.inFlight === 0);
  expect(endpoint.requests[0]?.cutShort).toBe(true);
});

test.concurrent("a plain body labelled gzip is a delivery, and so is an empty 204; the breaker stays closed", async () => {
  const headers = { "content-encoding": "gzip" };
  for (const behaviour of [answer(200, { headers, body: "fine" }), answer(204, { headers })]) {
    const subscriber = await newSubscriber(e2e, behaviour, { timeoutMs: 30_000 });
    const delivered = await subscriber.untilEvery(await subscriber.send(THRESHOLD + 1), "delivered");
    expect(new Set(delivered.map((one) => one.attemptCount))).toEqual(new Set([1]));
    expect(await subscriber.look()).toMatchObject({ breaker: { state: "closed", failures: 0 }, lastError: null });
  }
});

test.concurrent("a 410 with a broken body is gone, and its error names the status", async () => {
  const { event } = await sendTo(answer(410, { headers: { "content-encoding": "gzip" }, body: "not gzip" }));
  const { attempts, ...dead } = await e2e.api.untilDelivery(event.id, "dead");
  expect(dead).toMatchObject({ deadReason: "gone", lastError: "HTTP 410" });
  expect(attempts).toMatchObject([{ responseStatus: 410, error: expect.stringContaining("not valid gzip") }]);
});

test.concurrent("a response within the timeout is a delivery", async () => {
  const { event } = await sendTo(answer(200, { afterMs: 400 }), { timeoutMs: 30_000 });
  const { attempts } = await e2e.api.untilDelivery(event.id, "delivered");
  expect(attempts).toHaveLength(1);
  expect(attempts[0]?.durationMs).toBeGreaterThanOrEqual(395);
});

test.concurrent("an endless response is a delivery, of which 16 KiB are kept and the rest is not read", async () => {
  const { endpoint, event } = await sendTo(endlessBody);
  const { attempts } = await e2e.api.untilDelivery(event.id, "delivered");
  expect(attempts).toMatchObject([{ number: 1, responseStatus: 200 }]);
  expect(attempts[0]?.responseBody).toBe("x".repeat(kept));
  await waitFor("the connection is closed", () => endpoint.inFlight === 0);
  expect(endpoint.requests[0]?.cutShort).toBe(true);
});

test.concurrent("a large response is cut between characters, never inside one", async () => {
  const { event } = await sendTo(answer(200, { body: `x${"ü".repeat(kept)}` }));
  const { attempts } = await e2e.api.untilDelivery(event.id, "delivered");
  const body = attempts[0]?.responseBody ?? "";
  expect(Buffer.byteLength(body)).toBeGreaterThan(kept - 8);
  expect(Buffer.byteLength(body)).toBeLessThanOrEqual(kept + 2);
  expect(body.slice(0, -1)).toMatch(/^xü+$/);
});

test.concurrent("a large response of a failed attempt is cut at 16 KiB", async () => {
  const { event } = await sendTo(answer(500, { body: "y".repeat(1_000_000) }), { retrySchedule: ["50ms"] });
  const { attempts } = await e2e.api.untilDelivery(event.id, "dead");
  expect(attempts.map((attempt) => attempt.responseBody)).toEqual(["y".repeat(kept), "y".repeat(kept)]);
});

test.concurrent("a gzip bomb is a delivery, of which at most 16 KiB are kept", async () => {
  const { endpoint, event } = await sendTo(gzipBomb());
  const { attempts } = await e2e.api.untilDelivery(event.id, "delivered");
  expect(attempts).toMatchObject([{ number: 1, responseStatus: 200 }]);
  expect(endpoint.requests[0]?.headers["accept-encoding"] ?? "identity").toBe("identity");
  expect(Buffer.byteLength(attempts[0]?.responseBody ?? "")).toBeLessThanOrEqual(kept * 3);
  expect((attempts[0]?.responseBody ?? "").length).toBeLessThanOrEqual(kept);
});

test.concurrent.each([301, 302, 303, 307, 308])(
  "a redirect %i is not followed and is a failed attempt",
  async (status) => {
    const target = e2e.receiver.endpoint();
    const { endpoint, event } = await sendTo(answer(status, { headers: { location: target.url } }), {
      retrySchedule: ["50ms"],
    });
    const { attempts, deadReason } = await e2e.api.untilDelivery(event.id, "dead");
    expect(deadReason).toBe("exhausted");
    expect(attempts.map((attempt) => attempt.responseStatus)).toEqual([status, status]);
    expect(endpoint.requests).toHaveLength(2);
    expect(target.requests).toHaveLength(0);
  },
);

const odd: [string, Buffer][] = [
  ["NUL bytes", Buffer.from("ok\0\0ok")],
  ["invalid UTF-8", Buffer.concat([Buffer.from("ok"), Buffer.from([0xff, 0xfe, 0xc3, 0x28, 0xed, 0xa0, 0x80])])],
  ["nothing but NUL bytes", Buffer.alloc(100)],
  ["an escaped NUL in JSON", Buffer.from(String.raw`{"ok":"\u0000"}`)],
];
test.concurrent.each(odd)("a response with %s is delivered at the first attempt and recorded", async (_name, body) => {
  const { endpoint, event } = await sendTo(answer(200, { body }));
  const { attempts, attemptCount } = await e2e.api.untilDelivery(event.id, "delivered");
  expect(attemptCount).toBe(1);
  expect(attempts).toHaveLength(1);
  if (body.includes("ok")) expect(attempts[0]?.responseBody).toContain("ok");
  expect(attempts[0]?.responseBody).not.toContain("\0");
  expect(endpoint.requests).toHaveLength(1);
});

test.concurrent("a response that is not text does not disturb the recording of others in the same flush", async () => {
  const tenant = newTenant();
  const good = e2e.receiver.endpoint();
  const bad = e2e.receiver.endpoint(answer(200, { body: Buffer.from([0, 0xff, 0]) }));
  await e2e.api.subscribe({ tenant, url: good.url });
  await e2e.api.subscribe({ tenant, url: bad.url });
  const events = Array.from({ length: 20 }, (_, order) => ({ type: "order.created", data: order, tenant }));
  await e2e.api.sendBatch(events);
  await waitFor("all 40 are delivered", async () => {
    return (await e2e.api.deliveries({ tenant, status: "delivered", limit: 200 })).data.length === 40;
  });
  expect([good.requests.length, bad.requests.length]).toEqual([20, 20]);
});
