import { expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { oneGithubEventPerKind } from "@postrider/testkit/factories/github.ts";
import { isSignedWith } from "@postrider/testkit/receiver/request.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";

const e2e = useSharedStack();
/** Postgres and Node read the clock separately, and one rounds to the microsecond. */
const CLOCK_MS = 2;
const isoUtc = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const typeId = (prefix: string) => new RegExp(`^${prefix}_[0-7][0-9a-hjkmnp-tv-z]{25}$`);
const strictlyTyped = (data: unknown) => JSON.stringify(data) ?? "";

async function deliverOne(data: unknown = { order: 7 }, type = "order.created") {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  const subscription = await e2e.api.subscribe({ tenant, url: endpoint.url });
  const event = await e2e.api.send({ type, data, tenant });
  const [request] = await endpoint.untilRequests(1);
  if (request === undefined) throw new Error("no request");
  return { tenant, endpoint, subscription, event, request };
}

test.concurrent("a 202 carries exactly the fields of the contract", async () => {
  const tenant = newTenant();
  const { url } = e2e.receiver.endpoint();
  await e2e.api.subscribe({ tenant, url });
  await e2e.api.subscribe({ tenant, url });
  const before = Date.now();
  const answer = await e2e.api.call<{ createdAt: string }>("POST", "/v1/events", {
    body: { type: "order.created", data: { order: 7 }, tenant },
  });
  expect(answer.status).toBe(202);
  expect(answer.headers.get("content-type")).toMatch(/^application\/json\b/);
  expect(answer.body).toStrictEqual({
    id: expect.stringMatching(typeId("evt")) as string,
    type: "order.created",
    tenant,
    createdAt: expect.stringMatching(isoUtc) as string,
    deliveries: 2,
    expanding: false,
    duplicate: false,
  });
  const createdAt = Date.parse(answer.body.createdAt);
  expect(createdAt).toBeGreaterThanOrEqual(before - CLOCK_MS);
  expect(createdAt).toBeLessThanOrEqual(Date.now() + CLOCK_MS);
});

test.concurrent("an event that names no tenant belongs to the tenant default", async () => {
  expect(await e2e.api.send({ type: "order.created", data: 1 })).toMatchObject({ tenant: "default" });
});

test.concurrent("an accepted event can be read with its data", async () => {
  const tenant = newTenant();
  const data = { z: 1, a: { deep: [1, "zwei", null, true] } };
  const { id, createdAt } = await e2e.api.send({ type: "order.created", data, tenant });
  expect(await e2e.api.event(id)).toMatchObject({ id, type: "order.created", tenant, createdAt, data });
});

test.concurrent("a delivery is a POST of exactly type, timestamp and data, to the URL with its query", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  await e2e.api.subscribe({ tenant, url: `${endpoint.url}?a=1&b=%20x` });
  const data = { zebra: 1, apple: [1.5, -0, 1e21, "ünï → 🚚"], nested: { "": null } };
  const event = await e2e.api.send({ type: "order.created", data, tenant });
  const [request] = await endpoint.untilRequests(1);
  expect(request?.method).toBe("POST");
  expect(request?.url).toBe(`${new URL(endpoint.url).pathname}?a=1&b=%20x`);
  const text = request?.body.toString("utf8") ?? "";
  const { timestamp } = JSON.parse(text) as { timestamp: string };
  expect(timestamp).toMatch(isoUtc);
  expect(Date.parse(timestamp)).toBe(Date.parse(event.createdAt));
  expect(text).toBe(JSON.stringify({ type: "order.created", timestamp, data }));
});

test.concurrent("a delivery has the headers of Standard Webhooks and names its sender", async () => {
  const before = Date.now();
  const { event, request } = await deliverOne();
  expect(request.headers).toMatchObject({
    "webhook-id": event.id,
    "webhook-timestamp": expect.stringMatching(/^\d{10}$/) as string,
    "webhook-signature": expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/) as string,
    "content-type": "application/json",
    "content-length": String(request.body.length),
    "user-agent": expect.stringMatching(/^Postrider\/\d+\.\d+\.\d+/) as string,
  });
  // Whole seconds, rounded down.
  const sentAt = Number(request.headers["webhook-timestamp"]);
  expect(sentAt).toBeGreaterThanOrEqual(Math.floor(before / 1000));
  expect(sentAt).toBeLessThanOrEqual(request.at / 1000);
});

test.concurrent("a delivery's signature is valid for its body and secret only, by the reference library", async () => {
  const { subscription, request } = await deliverOne();
  expect(subscription.secret).toMatch(/^whsec_/);
  expect(isSignedWith(request, subscription.secret)).toBe(true);
  expect(isSignedWith({ ...request, body: Buffer.concat([request.body, Buffer.from(" ")]) }, subscription.secret)).toBe(
    false,
  );
  const other = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
  expect(isSignedWith(request, other)).toBe(false);
});

test.concurrent("a delivery is signed with the secret that its subscriber chose", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  const secret = `whsec_${Buffer.from("twenty-four bytes, 24 of").toString("base64")}`;
  const subscription = await e2e.api.subscribe({ tenant, url: endpoint.url, secret });
  expect(subscription.secret).toBe(secret);
  await e2e.api.send({ type: "order.created", data: 1, tenant });
  const [request] = await endpoint.untilRequests(1);
  expect(request && isSignedWith(request, secret)).toBe(true);
});

const values: [string, unknown][] = [
  ["null", null],
  ["false", false],
  ["zero", 0],
  ["an empty string", ""],
  ["an empty list", []],
  ["an empty object", {}],
  ["a string with a NUL character", "a\u0000b"],
  ["a lone surrogate", "a\ud800b"],
  ["keys that look like prototypes", JSON.parse('{"__proto__":{"x":1},"constructor":2}')],
  ["a hundred levels", JSON.parse("[".repeat(100) + "]".repeat(100))],
  ["a large text", "ä".repeat(100_000)],
];
test.concurrent.each(values)("a delivery carries data of any JSON value: %s", async (_name, data) => {
  const { request, event } = await deliverOne(data);
  expect(request.body.toString("utf8").endsWith(`,"data":${strictlyTyped(data)}}`)).toBe(true);
  expect(strictlyTyped((await e2e.api.event(event.id)).data)).toBe(strictlyTyped(data));
});

test.concurrent("a delivery carries numbers as they were written, even beyond the precision of JavaScript", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  await e2e.api.subscribe({ tenant, url: endpoint.url });
  const data = '{"id":12345678901234567890,"price":0.1000000000000000055511151231257827}';
  const raw = `{"type":"order.created","tenant":"${tenant}","data":${data}}`;
  expect((await e2e.api.call("POST", "/v1/events", { raw })).status).toBe(202);
  const [request] = await endpoint.untilRequests(1);
  expect(request?.body.toString("utf8")).toContain(`"data":${data}}`);
});

test.concurrent("a delivery carries the bytes of the data as they were sent, alone and in a batch", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  await e2e.api.subscribe({ tenant, url: endpoint.url });
  const data = ['{ "b" : 1.0,\n\t"a": [1e2 , "\\u00e4 ä \\"}"], "b": 2 }', '"] } \\\\"', " -0 ".trim()];
  const events = data.map((text) => `{"data" :${text} , "type":"order.created","tenant":"${tenant}"}`);
  for (const raw of events) expect((await e2e.api.call("POST", "/v1/events", { raw })).status).toBe(202);
  const batch = `{ "events":[ ${events.join(" , ")} ] }`;
  expect((await e2e.api.call("POST", "/v1/events/batch", { raw: batch })).status).toBe(202);
  const requests = await endpoint.untilRequests(2 * data.length);
  const sent = requests.map(({ body }) =>
    body
      .toString("utf8")
      .replace(/^.*?"data":/, "")
      .slice(0, -1),
  );
  expect(sent.toSorted()).toEqual([...data, ...data].toSorted());
});

test.concurrent("each of 300 events that arrive at the same moment is delivered once", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  await e2e.api.subscribe({ tenant, url: endpoint.url });
  const orders = Array.from({ length: 300 }, (_, order) => order);
  const accepted = await Promise.all(orders.map((data) => e2e.api.send({ type: "order.created", data, tenant })));
  await endpoint.untilEvents(accepted.map((event) => event.id));
  const sent = endpoint.requests.map((one) => (JSON.parse(one.body.toString()) as { data: number }).data);
  expect(sent.sort((a, b) => a - b)).toEqual(orders);
});

test.concurrent("deliveries carry real GitHub payloads unchanged", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  await e2e.api.subscribe({ tenant, url: endpoint.url });
  const payloads = oneGithubEventPerKind().map((event) => ({ ...event, tenant }));
  const accepted = await e2e.api.sendBatch(payloads);
  await endpoint.untilEvents(accepted.map((event) => event.id));
  const bodies = new Map(endpoint.requests.map((one) => [one.headers["webhook-id"], one.body.toString("utf8")]));
  for (const [index, { type, data }] of payloads.entries()) {
    const text = bodies.get(accepted[index]?.id) ?? "{}";
    const { timestamp } = JSON.parse(text) as { timestamp: string };
    expect(text).toBe(JSON.stringify({ type, timestamp, data }));
  }
});

test.concurrent("a delivery and its attempt have exactly the fields of the contract", async () => {
  const { tenant, subscription, event } = await deliverOne();
  const delivery = await e2e.api.untilDelivery(event.id, "delivered");
  expect(delivery).toStrictEqual({
    id: expect.stringMatching(typeId("dlv")) as string,
    event: event.id,
    subscription: subscription.id,
    tenant,
    eventType: "order.created",
    status: "delivered",
    heldReason: null,
    deadReason: null,
    attemptCount: 1,
    nextAttemptAt: null,
    lastError: null,
    createdAt: expect.stringMatching(isoUtc) as string,
    settledAt: expect.stringMatching(isoUtc) as string,
    attempts: [
      {
        id: expect.stringMatching(typeId("att")) as string,
        number: 1,
        trigger: "auto",
        startedAt: expect.stringMatching(isoUtc) as string,
        durationMs: expect.any(Number) as number,
        responseStatus: 200,
        responseBody: expect.toBeOneOf(["", null]) as string,
        error: null,
      },
    ],
  });
});

test.concurrent("an attempt keeps the body of its response", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint((_request, response) => response.writeHead(201).end("thank you, ünï"));
  await e2e.api.subscribe({ tenant, url: endpoint.url });
  const event = await e2e.api.send({ type: "order.created", data: 1, tenant });
  const { attempts } = await e2e.api.untilDelivery(event.id, "delivered");
  expect(attempts).toMatchObject([{ responseStatus: 201, responseBody: "thank you, ünï" }]);
});

test.concurrent("a list of deliveries differs from single reads only by the missing attempts", async () => {
  const { event } = await deliverOne();
  const { attempts: _, ...delivery } = await e2e.api.untilDelivery(event.id, "delivered");
  expect(await e2e.api.eventDeliveries(event.id)).toStrictEqual({ data: [delivery], nextCursor: null });
  expect((await e2e.api.deliveries({ event: event.id })).data).toStrictEqual([delivery]);
});
