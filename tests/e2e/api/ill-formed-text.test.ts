import { beforeAll, expect, test } from "vitest";
import type { Problem } from "@postrider/testkit/client/types.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";
import { expectProblem } from "./problems.ts";

const e2e = useSharedStack();
/** JSON can escape half of a surrogate pair, which no UTF-8 has. */
const HALF = "a\ud800b";
const event = { type: "order.created", data: 1 };
let subscription = "";
let url = "";

beforeAll(async () => {
  ({ url } = e2e.receiver.endpoint());
  subscription = (await e2e.api.subscribe({ url, tenant: newTenant() })).id;
});

const subscriptionFields: [Record<string, unknown>, string][] = [
  [{ url: `https://shop.example/${HALF}` }, "url"],
  [{ eventTypes: [`order.${HALF}`] }, "eventTypes.0"],
  [{ description: HALF }, "description"],
  [{ headers: { "x-key": HALF } }, "headers.x-key"],
  [{ headers: { [HALF]: "x" } }, `headers.${HALF}`],
  [{ retrySchedule: [HALF] }, "retrySchedule"],
  [{ retrySchedule: HALF }, "retrySchedule"],
  [{ metadata: { a: [HALF] } }, "metadata"],
  [{ metadata: { [HALF]: 1 } }, "metadata"],
];
const routes: [string, string, unknown, string][] = [
  ["POST", "/v1/events", { ...event, type: HALF }, "type"],
  ["POST", "/v1/events", { ...event, tenant: HALF }, "tenant"],
  ["POST", "/v1/events", { ...event, [HALF]: 1 }, HALF],
  ["POST", "/v1/events/batch", { events: [event, { ...event, idempotencyKey: HALF }] }, "events.1.idempotencyKey"],
  ["POST", "/v1/events/batch", { events: [{ ...event, type: HALF }] }, "events.0.type"],
  ["POST", "/v1/events/batch", { events: [{ ...event, tenant: HALF }] }, "events.0.tenant"],
  ...subscriptionFields.flatMap(([body, field]): typeof routes => [
    ["POST", "/v1/subscriptions", body, field],
    ["PATCH", "/v1/subscriptions/{id}", body, field],
  ]),
  ["POST", "/v1/subscriptions", { tenant: HALF }, "tenant"],
  ["POST", "/v1/subscriptions", { secret: `whsec_${HALF}` }, "secret"],
  ["POST", "/v1/subscriptions/{id}/secret/rotate", { secret: `whsec_${HALF}` }, "secret"],
];
test.concurrent.each(routes)("%s %s refuses an unpaired surrogate in %j: %s", async (method, path, body, field) => {
  const fields = path === "/v1/subscriptions" ? { url, ...(body as object) } : body;
  const answer = await e2e.api.call<Problem>(method, path.replace("{id}", subscription), { body: fields });
  expectProblem(answer, 400);
  // The answer itself is well formed.
  expect(answer.body.errors?.map((error) => error.field)).toContain(field);
});

test.concurrent.each([
  ["/v1/events", ["tenant", "type", "since", "until", "cursor"]],
  ["/v1/subscriptions", ["tenant", "status", "cursor"]],
  ["/v1/deliveries", ["tenant", "subscription", "event", "status", "since", "until", "cursor"]],
])("GET %s refuses bytes that are not UTF-8 in each of %j", async (path, parameters) => {
  for (const name of parameters) {
    const answer = await e2e.api.call<Problem>("GET", `${path}?${name}=%ED%A0%80`);
    expectProblem(answer, 400);
    expect(answer.body.errors).toMatchObject([{ field: name }]);
  }
});

test.concurrent("a body that is not UTF-8 is refused, and not changed into another one", async () => {
  const tenant = newTenant();
  for (const bytes of ["\xe9", "\xed\xa0\x80", "\xff"]) {
    const body = Buffer.from(`{"type":"order.created","data":"${bytes}","tenant":"${tenant}"}`, "latin1");
    const answer = await fetch(`${e2e.api.baseUrl}/v1/events`, {
      method: "POST",
      headers: { authorization: `Bearer ${e2e.api.key}`, "content-type": "application/json" },
      body,
    });
    expect([answer.status, await answer.json()]).toMatchObject([400, { code: "invalid_json" }]);
  }
  expect((await e2e.api.events({ tenant })).data).toEqual([]);
});

test.concurrent("idempotency keys that UTF-8 would make the same cost no other caller an answer", async () => {
  const tenant = newTenant();
  const keys = ["\ud800", "\ud801"].map((idempotencyKey) => ({ ...event, tenant, idempotencyKey }));
  const [refused, others] = await Promise.all([
    Promise.all(Array.from({ length: 20 }, () => e2e.api.call("POST", "/v1/events/batch", { body: { events: keys } }))),
    Promise.all(Array.from({ length: 200 }, () => e2e.api.call("POST", "/v1/events", { body: { ...event, tenant } }))),
  ]);
  expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([400]));
  expect(new Set(others.map(({ status }) => status))).toEqual(new Set([202]));
});
