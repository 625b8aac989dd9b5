import { beforeAll, expect, test } from "vitest";
import type { CallOptions } from "@postrider/testkit/client/client.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";
import { ABSENT, callsTo, expectProblem } from "./problems.ts";

const e2e = useSharedStack();
const { call } = callsTo(e2e);
let subscription = "";

beforeAll(async () => {
  const { url } = e2e.receiver.endpoint();
  subscription = (await e2e.api.subscribe({ url, tenant: newTenant() })).id;
});

/** Every route that takes a key, with an id that is well formed where it takes one. */
const routes: [string, string][] = [
  ["POST", "/v1/events"],
  ["POST", "/v1/events/batch"],
  ["GET", "/v1/events"],
  ["GET", `/v1/events/evt_${ABSENT}`],
  ["GET", `/v1/events/evt_${ABSENT}/deliveries`],
  ["POST", "/v1/subscriptions"],
  ["GET", "/v1/subscriptions"],
  ["GET", `/v1/subscriptions/sub_${ABSENT}`],
  ["PATCH", `/v1/subscriptions/sub_${ABSENT}`],
  ["DELETE", `/v1/subscriptions/sub_${ABSENT}`],
  ["GET", `/v1/subscriptions/sub_${ABSENT}/secret`],
  ["POST", `/v1/subscriptions/sub_${ABSENT}/secret/rotate`],
  ["POST", `/v1/subscriptions/sub_${ABSENT}/pause`],
  ["POST", `/v1/subscriptions/sub_${ABSENT}/resume`],
  ["POST", `/v1/subscriptions/sub_${ABSENT}/enable`],
  ["GET", "/v1/deliveries"],
  ["GET", `/v1/deliveries/dlv_${ABSENT}`],
  ["POST", `/v1/deliveries/dlv_${ABSENT}/retry`],
];

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

const byId = routes.filter(([, path]) => path.includes(ABSENT));
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
      `att_${ABSENT}`,
      `evt_8${ABSENT.slice(1)}`,
      "1' OR '1'='1",
      "%E0%A4%A",
    ]) {
      const bad = path.replace(/(evt|sub|dlv)_[0-9a-z]{26}/, id);
      expectProblem(await call(method, bad, method === "PATCH" ? { body: { description: "x" } } : {}), 400, 404);
    }
  },
);

const withBody = routes.filter(([method, path]) => method === "PATCH" || /events(\/batch)?$|subscriptions$/.test(path));
const writing = withBody.filter(([method]) => method !== "GET");
test.concurrent.each(writing)("%s %s refuses a body that is not a JSON object", async (method, routePath) => {
  const path = routePath.replace(`sub_${ABSENT}`, subscription);
  // A change of nothing may be taken as one.
  const empty = method === "PATCH" ? [] : [""];
  for (const raw of [...empty, "{", "null", "[]", '"text"', "5", '{"type":"a","data":1} x', "\u0000"]) {
    expectProblem(await call(method, path, { raw }), 400);
  }
});

test.concurrent.each(writing)("%s %s refuses another content type", async (method, routePath) => {
  const path = routePath.replace(`sub_${ABSENT}`, subscription);
  const raw = JSON.stringify({ type: "order.created", data: 1 });
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
    expectProblem(await call(method, path, { raw, headers: { "content-type": type } }), 400, 415);
  }
});

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
  ["POST", `/v1/events/evt_${ABSENT}`],
  ["PUT", `/v1/subscriptions/sub_${ABSENT}`],
  ["GET", `/v1/deliveries/dlv_${ABSENT}/retry`],
  ["DELETE", `/v1/deliveries/dlv_${ABSENT}`],
])("%s %s is not allowed", async (method, path) => {
  expectProblem(await call(method, path), 404, 405);
});
