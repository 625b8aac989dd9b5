import { expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";
import { callsTo, expectProblem } from "./problems.ts";

const e2e = useSharedStack();
const { call, expectFieldNamed } = callsTo(e2e);

test.concurrent("an event whose data is nested too deeply is refused, with the field", async () => {
  const nested = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
  const event = (data: string) => `{"type":"order.created","data":${data}}`;
  expect((await call("POST", "/v1/events", { raw: event(nested(100)) })).status).toBe(202);
  for (const levels of [101, 50_000]) {
    const answer = await call("POST", "/v1/events", { raw: event(nested(levels)) });
    expectProblem(answer, 400);
    expect(answer.body.errors).toMatchObject([{ field: "data" }]);
    const batch = await call("POST", "/v1/events/batch", {
      raw: `{"events":[${event("1")},${event(nested(levels))}]}`,
    });
    expect(batch.body.errors).toMatchObject([{ field: "events.1.data" }]);
  }
});

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

const MIB = 1024 * 1024;
const unknown = (count: number) => Array.from({ length: count }, (_, n) => `"unknown-${n}":1`).join(",");
const longName = `"${"x".repeat(200 * 1024)}":1`;
const hostile: [string, string, string, string][] = [
  ["many unknown fields", "POST", "/v1/events", `{${unknown(14_000)}}`],
  ["many unknown fields", "POST", "/v1/events/batch", `{"events":[{${unknown(400_000)}}]}`],
  ["many unknown fields", "POST", "/v1/subscriptions", `{${unknown(7_000)}}`],
  ["a long unknown field", "POST", "/v1/events", `{${longName}}`],
  ["long unknown fields", "POST", "/v1/events/batch", `{"events":[{${Array(40).fill(longName).join(",")}}]}`],
  [
    "many invalid events",
    "POST",
    "/v1/events/batch",
    `{"events":[${Array(1_000).fill('{"type":1,"tenant":2,"x":3}').join(",")}]}`,
  ],
  ["many events", "POST", "/v1/events/batch", `{"events":[${Array(1_000_000).fill("{}").join(",")}]}`],
  ["many invalid event types", "POST", "/v1/subscriptions", `{"eventTypes":[${Array(50_000).fill("1").join(",")}]}`],
  ["many invalid headers", "POST", "/v1/subscriptions", `{"headers":{${unknown(7_000)}}}`],
  ["a long wrong wait", "POST", "/v1/subscriptions", `{"retrySchedule":["${"x".repeat(100_000)}"]}`],
  ["a value of the wrong kind", "POST", "/v1/events/batch", `{"events":[{"type":[${"1,".repeat(MIB)}1]}]}`],
  ["a value in the place of a list", "POST", "/v1/events/batch", `{"events":{${unknown(400_000)}}}`],
  ["what is no JSON", "POST", "/v1/events/batch", `{"events":[{"type":"${"x".repeat(9 * MIB)}`],
  [
    "many unknown parameters",
    "GET",
    `/v1/events?${Array.from({ length: 900 }, (_, n) => `unknown${n}=1`).join("&")}`,
    "",
  ],
];
test.concurrent.each(hostile)("%s in a %s get a short answer", async (_name, method, path, raw) => {
  const answer = await call(method, path, raw === "" ? {} : { raw });
  expectProblem(answer, 400);
  expect(answer.body.errors?.length ?? 0).toBeLessThanOrEqual(20);
  expect(JSON.stringify(answer.body).length).toBeLessThan(16 * 1024);
});

test("the API still accepts events after all invalid requests", async () => {
  await e2e.api.send({ type: "order.created", data: 1, tenant: newTenant() });
});
