import { beforeAll, expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";
import { callsTo, expectProblem } from "./problems.ts";

const e2e = useSharedStack();
const { call, expectFieldNamed } = callsTo(e2e);
let subscription = "";
let url = "";

beforeAll(async () => {
  ({ url } = e2e.receiver.endpoint());
  subscription = (await e2e.api.subscribe({ url, tenant: newTenant() })).id;
});

const bad: [string, Record<string, unknown>, string][] = [
  ["no url", { url: undefined }, "url"],
  ["an unknown field", { colour: "red" }, "colour"],
  ["a url that is none", { url: "not a url" }, "url"],
  ["a url of another scheme", { url: "ftp://example.com/" }, "url"],
  ["a file url", { url: "file:///etc/passwd" }, "url"],
  ["a url that is a number", { url: 5 }, "url"],
  ["event types that are a string", { eventTypes: "order.created" }, "eventTypes"],
  ["an empty event type", { eventTypes: [""] }, "eventTypes"],
  ["a pattern with a leading star", { eventTypes: ["*.created"] }, "eventTypes"],
  ["a pattern with a star inside a part", { eventTypes: ["ord*"] }, "eventTypes"],
  ["a pattern that ends with a dot", { eventTypes: ["order."] }, "eventTypes"],
  ["an event type of 129 characters", { eventTypes: ["o".repeat(129)] }, "eventTypes"],
  ["a bad tenant", { tenant: "a/b" }, "tenant"],
  ["a description that is a number", { description: 5 }, "description"],
  ["a secret without its prefix", { secret: "c2VjcmV0" }, "secret"],
  ["headers that are a list", { headers: ["x: y"] }, "headers"],
  ["a header name with a space", { headers: { "x y": "z" } }, "headers"],
  ["a header value with a line break", { headers: { "x-y": "a\r\nb: c" } }, "headers"],
  ["a header value that is a number", { headers: { "x-y": 5 } }, "headers"],
  ["a rate limit of zero", { rateLimit: 0 }, "rateLimit"],
  ["a negative rate limit", { rateLimit: -1 }, "rateLimit"],
  ["a rate limit that is a string", { rateLimit: "5" }, "rateLimit"],
  ["a maxInFlight of zero", { maxInFlight: 0 }, "maxInFlight"],
  ["a maxInFlight that is not whole", { maxInFlight: 1.5 }, "maxInFlight"],
  ["a timeout of zero", { timeoutMs: 0 }, "timeoutMs"],
  ["a timeout that is a string", { timeoutMs: "1s" }, "timeoutMs"],
  ["a timeout of a day", { timeoutMs: 86_400_000 }, "timeoutMs"],
  ["a schedule of nonsense", { retrySchedule: ["2 parsecs"] }, "retrySchedule"],
  ["a schedule of numbers", { retrySchedule: [2, 4] }, "retrySchedule"],
  ["a negative wait", { retrySchedule: ["-2s"] }, "retrySchedule"],
  ["an unknown preset", { retrySchedule: "eager" }, "retrySchedule"],
  ["metadata that is a string", { metadata: "x" }, "metadata"],
  ["metadata that is a list", { metadata: [1] }, "metadata"],
  ["metadata that is null", { metadata: null }, "metadata"],
  ["metadata of over 16 KiB", { metadata: { a: "x".repeat(16 * 1024) } }, "metadata"],
  ["metadata with a NUL character", { metadata: { a: ["\0"] } }, "metadata"],
  ["metadata with an unpaired surrogate", { metadata: { "a\ud800": 1 } }, "metadata"],
  ["a status", { status: "paused" }, "status"],
];
test.concurrent.each(bad)("POST /v1/subscriptions refuses %s and names the field", async (_name, body, field) => {
  await expectFieldNamed("POST", "/v1/subscriptions", { url, tenant: newTenant(), ...body }, field);
});

const changes = bad.filter(([name]) => !["no url", "a secret without its prefix"].includes(name));
test.concurrent.each(changes)("PATCH /v1/subscriptions/{id} refuses %s", async (_name, body, field) => {
  const path = `/v1/subscriptions/${subscription}`;
  const before = await e2e.api.subscription(subscription);
  await expectFieldNamed("PATCH", path, body, field);
  expect(await e2e.api.subscription(subscription)).toEqual(before);
});

test.concurrent.each([
  ["id", "sub_x"],
  ["tenant", "another"],
  ["createdAt", "2020-01-01T00:00:00Z"],
  ["held", 0],
])("PATCH /v1/subscriptions/{id} cannot change %s", async (field, value) => {
  await expectFieldNamed("PATCH", `/v1/subscriptions/${subscription}`, { [field]: value }, field);
});

test.each([
  ["a number that a double rounds", '{"a":[1,{"id":12345678901234567890}]}'],
  ["a number that is too large for a double", '{"a":1e400}'],
  ["a number that is too large for Postgres", '{"a":1e131072}'],
  ["more than 100 levels", `{"a":${"[".repeat(100)}${"]".repeat(100)}}`],
  ["an escaped NUL character", String.raw`{"a":"\u0000"}`],
  ["a number that is too small for a double", '{"a":1e-400}'],
])("metadata with %s is refused by name", async (_name, metadata) => {
  for (const [method, path] of [
    ["POST", "/v1/subscriptions"],
    ["PATCH", `/v1/subscriptions/${subscription}`],
  ] as const) {
    const answer = await call(method, path, { raw: `{"url":"${url}","metadata":${metadata}}` });
    expectProblem(answer, 400);
    expect(answer.body.errors).toMatchObject([{ field: "metadata" }]);
  }
});

test.concurrent.each(
  ["rateLimit", "maxInFlight", "timeoutMs"].flatMap((field) =>
    ["1e400", "100.00000000000000001", "12345678901234567890"].map((number) => [field, number] as const),
  ),
)("%s is never rounded: %s is refused by name", async (field, number) => {
  for (const [method, path] of [
    ["POST", "/v1/subscriptions"],
    ["PATCH", `/v1/subscriptions/${subscription}`],
  ] as const) {
    const answer = await call(method, path, { raw: `{"url":"${url}","${field}":${number}}` });
    expectProblem(answer, 400);
    expect(answer.body.errors).toMatchObject([{ field }]);
  }
});

test.concurrent("the grace of a rotation is never rounded", async () => {
  const path = `/v1/subscriptions/${subscription}/secret/rotate`;
  const answer = await call("POST", path, { raw: '{"graceSeconds":60.00000000000000001}' });
  expectProblem(answer, 400);
  expect(answer.body.errors).toMatchObject([{ field: "graceSeconds" }]);
});

test.concurrent.each([
  ["an unknown field", { colour: "red" }, "colour"],
  ["a negative grace", { graceSeconds: -1 }, "graceSeconds"],
  ["a grace that is a string", { graceSeconds: "1d" }, "graceSeconds"],
  ["a bad secret", { secret: "whsec_short" }, "secret"],
])("POST …/secret/rotate refuses %s and names the field", async (_name, body, field) => {
  await expectFieldNamed("POST", `/v1/subscriptions/${subscription}/secret/rotate`, body, field);
});

test.concurrent.each(["pause", "resume", "enable"])("POST …/%s takes no body but {}", async (action) => {
  const { id } = await e2e.api.subscribe({ url, tenant: newTenant() });
  const path = `/v1/subscriptions/${id}/${action}`;
  const before = await e2e.api.subscription(id);
  await expectFieldNamed("POST", path, { colour: "red" }, "colour");
  expectProblem(await call("POST", path, { raw: "[]" }), 400);
  expect(await e2e.api.subscription(id)).toEqual(before);
  expect((await call("POST", path, { body: {} })).status).toBe(200);
});

test.concurrent("POST …/retry takes no body but {}", async () => {
  const tenant = newTenant();
  await e2e.api.subscribe({ url, tenant });
  const event = await e2e.api.send({ type: "order.created", data: 1, tenant });
  const { id } = await e2e.api.untilDelivery(event.id, "delivered");
  const path = `/v1/deliveries/${id}/retry`;
  await expectFieldNamed("POST", path, { type: "order.created", data: { delivery: "of an event" } }, "data");
  expectProblem(await call("POST", path, { raw: "[]" }), 400);
  expect((await e2e.api.deliveryOf(event.id)).attemptCount).toBe(1);
  expect((await call("POST", path, { body: {} })).status).toBe(202);
});
