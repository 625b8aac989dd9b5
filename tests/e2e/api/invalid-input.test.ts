import { beforeAll, describe, expect, test } from "vitest";
import type { Answer, CallOptions } from "@postrider/testkit/client/client.ts";
import type { Problem } from "@postrider/testkit/client/types.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { useStack } from "@postrider/testkit/vitest.ts";

const e2e = useStack({ workers: 0 });
const absent = "00000000000000000000000000";
let subscription = "";
let url = "";

beforeAll(async () => {
  ({ url } = e2e.receiver.endpoint());
  subscription = (await e2e.api.subscribe({ url, tenant: newTenant() })).id;
});

function expectProblem(answer: Answer<Problem>, ...statuses: number[]): void {
  expect(answer.status, JSON.stringify(answer.body)).toBeOneOf(statuses);
  expect(answer.headers.get("content-type")).toMatch(/^application\/problem\+json\b/);
  expect(answer.body).toMatchObject({
    status: answer.status,
    code: expect.stringMatching(/^[a-z][a-z_]+$/) as string,
    title: expect.any(String) as string,
  });
}

const call = (method: string, path: string, options?: CallOptions) => e2e.api.call<Problem>(method, path, options);

async function expectFieldNamed(method: string, path: string, body: unknown, field: string): Promise<void> {
  const answer = await call(method, path, { body });
  expectProblem(answer, 400);
  const errors = answer.body.errors ?? [];
  expect(errors.length).toBeGreaterThan(0);
  for (const error of errors) expect(error).toEqual({ field: expect.any(String), message: expect.stringMatching(/./) });
  expect(errors.map((error) => `${error.field} ${error.message}`).join("\n")).toContain(field);
}

test.concurrent("an event whose data is nested too deeply is refused, with the field", async () => {
  const nested = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
  const event = (data: string) => `{"type":"order.created","data":${data}}`;
  expect((await call("POST", "/v1/events", { raw: event(nested(1_000)) })).status).toBe(202);
  for (const levels of [1_001, 50_000]) {
    const answer = await call("POST", "/v1/events", { raw: event(nested(levels)) });
    expectProblem(answer, 400);
    expect(answer.body.errors).toMatchObject([{ field: "data" }]);
    const batch = await call("POST", "/v1/events/batch", {
      raw: `{"events":[${event("1")},${event(nested(levels))}]}`,
    });
    expect(batch.body.errors).toMatchObject([{ field: "events.1.data" }]);
  }
});

describe("POST /v1/events", () => {
  const good = { type: "order.created", data: 1 };
  const bad: [string, unknown, string][] = [
    ["no type", { data: 1 }, "type"],
    ["no data", { type: "order.created" }, "data"],
    ["an unknown field", { ...good, colour: "red" }, "colour"],
    ["a type that is a number", { ...good, type: 5 }, "type"],
    ["a type that is null", { ...good, type: null }, "type"],
    ["an empty type", { ...good, type: "" }, "type"],
    ["a type with an empty part", { ...good, type: "order..created" }, "type"],
    ["a type that begins with a dot", { ...good, type: ".order" }, "type"],
    ["a type that ends with a dot", { ...good, type: "order." }, "type"],
    ["a type with a space", { ...good, type: "order created" }, "type"],
    ["a type with a star", { ...good, type: "order.*" }, "type"],
    ["a type with a newline", { ...good, type: "order\n" }, "type"],
    ["a type of 129 characters", { ...good, type: "o".repeat(129) }, "type"],
    ["a tenant with a space", { ...good, tenant: "a b" }, "tenant"],
    ["an empty tenant", { ...good, tenant: "" }, "tenant"],
    ["a tenant of 65 characters", { ...good, tenant: "t".repeat(65) }, "tenant"],
    ["a tenant that is a number", { ...good, tenant: 5 }, "tenant"],
  ];
  test.concurrent.each(bad)("POST /v1/events refuses %s and names the field", async (_name, body, field) => {
    await expectFieldNamed("POST", "/v1/events", body, field);
  });

  test.concurrent("POST /v1/events accepts a type of 128 characters and a tenant of 64", async () => {
    await e2e.api.send({ type: "o".repeat(128), data: 1, tenant: "T".repeat(64) });
  });

  test.concurrent("POST /v1/events names every invalid field, not only the first", async () => {
    const answer = await call("POST", "/v1/events", { body: { type: 5, tenant: "a b", data: 1 } });
    expect(answer.body.errors?.map((error) => error.field).sort()).toEqual(["tenant", "type"]);
  });

  test.concurrent("POST /v1/events answers 413 to a payload over 256 KiB, and accepts one just under it", async () => {
    expectProblem(await call("POST", "/v1/events", { body: { ...good, data: "x".repeat(257 * 1024) } }), 413);
    await e2e.api.send({ ...good, data: "x".repeat(255 * 1024), tenant: newTenant() });
  });

  test.concurrent("POST /v1/events answers 413 to 20 MiB", async () => {
    expectProblem(await call("POST", "/v1/events", { body: { ...good, data: "x".repeat(20 * 1024 * 1024) } }), 413);
  });

  test.concurrent("POST /v1/events refuses an empty Idempotency-Key", async () => {
    expectProblem(await call("POST", "/v1/events", { body: good, headers: { "idempotency-key": "" } }), 400);
  });
});

describe("POST /v1/subscriptions", () => {
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
});

test.each([
  ["a number that a double rounds", '{"a":[1,{"id":12345678901234567890}]}'],
  ["a number that is too large for a double", '{"a":1e400}'],
  ["a number that is too large for Postgres", '{"a":1e131072}'],
  ["more than 1,000 levels", `{"a":${"[".repeat(1_000)}${"]".repeat(1_000)}}`],
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

describe("POST /v1/subscriptions/{id}/secret/rotate", () => {
  test.concurrent.each([
    ["an unknown field", { colour: "red" }, "colour"],
    ["a negative grace", { graceSeconds: -1 }, "graceSeconds"],
    ["a grace that is a string", { graceSeconds: "1d" }, "graceSeconds"],
    ["a bad secret", { secret: "whsec_short" }, "secret"],
  ])("POST …/secret/rotate refuses %s and names the field", async (_name, body, field) => {
    await expectFieldNamed("POST", `/v1/subscriptions/${subscription}/secret/rotate`, body, field);
  });
});

describe("lists", () => {
  const lists = ["/v1/events", "/v1/subscriptions", "/v1/deliveries"];
  const bad = ["limit=0", "limit=201", "limit=-1", "limit=1.5", "limit=many", "cursor=nonsense", "cursor=%00"];
  test.concurrent.each(lists.flatMap((path) => bad.map((query) => [path, query])))(
    "%s refuses ?%s",
    async (path, query) => {
      const answer = await call("GET", `${path}?${query}`);
      expectProblem(answer, 400);
      expect(JSON.stringify(answer.body.errors)).toContain(query?.split("=")[0]);
    },
  );

  test.concurrent.each([
    ["/v1/events", "since=yesterday", "since"],
    ["/v1/events", "until=tomorrow", "until"],
    ["/v1/events", "type=order..created", "type"],
    ["/v1/events", "tenant=a%20b", "tenant"],
    ["/v1/deliveries", "since=yesterday", "since"],
    ["/v1/deliveries", "until=2026-13-01T00:00:00Z", "until"],
    ["/v1/deliveries", "status=lost", "status"],
    ["/v1/deliveries", "subscription=evt_x", "subscription"],
    ["/v1/deliveries", "event=sub_x", "event"],
    ["/v1/subscriptions", "status=lost", "status"],
    ["/v1/subscriptions", "tenant=a%20b", "tenant"],
  ])("the list %s refuses ?%s", async (path, query, field) => {
    const answer = await call("GET", `${path}?${query}`);
    expectProblem(answer, 400);
    expect(JSON.stringify(answer.body.errors)).toContain(field);
  });

  test.concurrent("the lists accept the largest and the smallest limit", async () => {
    for (const path of lists)
      for (const limit of [1, 200]) expect((await call("GET", `${path}?limit=${limit}`)).status).toBe(200);
  });
});

/** Every route that takes a key, with an id that is well formed where it takes one. */
const routes: [string, string][] = [
  ["POST", "/v1/events"],
  ["POST", "/v1/events/batch"],
  ["GET", "/v1/events"],
  ["GET", `/v1/events/evt_${absent}`],
  ["GET", `/v1/events/evt_${absent}/deliveries`],
  ["POST", "/v1/subscriptions"],
  ["GET", "/v1/subscriptions"],
  ["GET", `/v1/subscriptions/sub_${absent}`],
  ["PATCH", `/v1/subscriptions/sub_${absent}`],
  ["DELETE", `/v1/subscriptions/sub_${absent}`],
  ["GET", `/v1/subscriptions/sub_${absent}/secret`],
  ["POST", `/v1/subscriptions/sub_${absent}/secret/rotate`],
  ["POST", `/v1/subscriptions/sub_${absent}/pause`],
  ["POST", `/v1/subscriptions/sub_${absent}/resume`],
  ["POST", `/v1/subscriptions/sub_${absent}/enable`],
  ["GET", "/v1/deliveries"],
  ["GET", `/v1/deliveries/dlv_${absent}`],
  ["POST", `/v1/deliveries/dlv_${absent}/retry`],
];

describe("every route", () => {
  test.concurrent.each(routes)("%s %s requires a known key", async (method, path) => {
    const keys: CallOptions[] = [
      { key: null },
      { key: "wrong" },
      { key: `${e2e.api.key}x` },
      { key: e2e.api.key.slice(0, -1) },
      { key: null, headers: { authorization: `Basic ${e2e.api.key}` } },
      { key: null, headers: { authorization: e2e.api.key } },
      { key: null, headers: { authorization: "Bearer " } },
    ];
    for (const options of keys) {
      const answer = await call(method, path, options);
      expectProblem(answer, 401);
      expect(JSON.stringify(answer.body)).not.toContain(e2e.api.key.slice(0, -1));
    }
  });

  const byId = routes.filter(([, path]) => path.includes(absent));
  test.concurrent.each(byId)("%s %s answers 404 to an unknown id", async (method, path) => {
    expectProblem(await call(method, path, method === "PATCH" ? { body: { description: "x" } } : {}), 404);
  });

  test.concurrent.each(byId)(
    "%s %s answers 404 or 400 to a malformed id and to an id of another kind",
    async (method, path) => {
      for (const id of [
        "nonsense",
        "%00",
        "evt_",
        `att_${absent}`,
        `evt_8${absent.slice(1)}`,
        "1' OR '1'='1",
        "%E0%A4%A",
      ]) {
        const bad = path.replace(/(evt|sub|dlv)_[0-9a-z]{26}/, id);
        expectProblem(await call(method, bad, method === "PATCH" ? { body: { description: "x" } } : {}), 400, 404);
      }
    },
  );

  const withBody = routes.filter(
    ([method, path]) => method === "PATCH" || /events(\/batch)?$|subscriptions$/.test(path),
  );
  const writing = withBody.filter(([method]) => method !== "GET");
  test.concurrent.each(writing)("%s %s refuses a body that is not a JSON object", async (method, routePath) => {
    const path = routePath.replace(`sub_${absent}`, subscription);
    // A change of nothing may be taken as one.
    const empty = method === "PATCH" ? [] : [""];
    for (const raw of [...empty, "{", "null", "[]", '"text"', "5", '{"type":"a","data":1} x', "\u0000"]) {
      expectProblem(await call(method, path, { raw }), 400);
    }
  });

  test.concurrent.each(writing)("%s %s refuses another content type", async (method, routePath) => {
    const path = routePath.replace(`sub_${absent}`, subscription);
    const raw = JSON.stringify({ type: "order.created", data: 1 });
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
      expectProblem(await call(method, path, { raw, headers: { "content-type": type } }), 400, 415);
    }
  });
});

describe("a route that does not exist", () => {
  test.concurrent.each([
    "/",
    "/v1",
    "/v1/nothing",
    "/v2/events",
    "/v1/events/a/b/c",
    "/v1/subscriptions/x/explode",
    "/v1/%2e%2e/%2e%2e/etc",
  ])("GET %s, which is no route, is answered with a problem of status 404", async (path) => {
    expectProblem(await call("GET", path), 404, 400);
  });

  test.concurrent.each([
    ["PUT", "/v1/events"],
    ["DELETE", "/v1/events"],
    ["POST", `/v1/events/evt_${absent}`],
    ["PUT", `/v1/subscriptions/sub_${absent}`],
    ["GET", `/v1/deliveries/dlv_${absent}/retry`],
    ["DELETE", `/v1/deliveries/dlv_${absent}`],
  ])("%s %s is not allowed", async (method, path) => {
    expectProblem(await call(method, path), 404, 405);
  });
});

test("the API still accepts events after all invalid requests", async () => {
  await e2e.api.send({ type: "order.created", data: 1, tenant: newTenant() });
});
