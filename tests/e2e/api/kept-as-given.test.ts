import { expect, test } from "vitest";
import type { Problem, Subscription } from "@postrider/testkit/client/types.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";
import { callsTo, expectProblem } from "./problems.ts";

const e2e = useSharedStack();
const { call } = callsTo(e2e);

const newBody = (more: Record<string, unknown> = {}) => ({
  url: e2e.receiver.endpoint().url,
  tenant: newTenant(),
  ...more,
});

const urls: [given: string, stored: string][] = [
  ["HTTPS://Shop.Example", "https://shop.example/"],
  ["https:\\\\shop.example\\a b", "https://shop.example/a%20b"],
  ["https://shop.example:443/a/../b?c= d", "https://shop.example/b?c=%20d"],
  ["https://münchen.example/ü", "https://xn--mnchen-3ya.example/%C3%BC"],
  ["  https://shop.example/  ", "https://shop.example/"],
  ["http://0x7f.1/", "http://127.0.0.1/"],
];
test.concurrent.each(urls)("the url %j is stored as %s", async (given, stored) => {
  const { id } = await e2e.api.subscribe({ url: given, tenant: newTenant() });
  expect((await e2e.api.subscription(id)).url).toBe(stored);
  const moved = await e2e.api.subscribe({ url: "https://other.example/", tenant: newTenant() });
  const changed = await e2e.api.call<Subscription>("PATCH", `/v1/subscriptions/${moved.id}`, { body: { url: given } });
  expect(changed.body.url).toBe(stored);
});

test.concurrent.each([
  ["a line break", "ht\ntp://shop.example/"],
  ["a tab", "https://shop.example/a\tb"],
  ["a right-to-left override", "https://shop.example/\u202egnp.exe"],
  ["an isolate", "https://shop.example/\u2066a\u2069"],
  ["a zero-width space", "https://shop\u200b.example/"],
  ["a soft hyphen", "https://sh\u00adop.example/"],
  ["a C1 control", "https://shop.example/\u0085"],
  ["a line separator", "https://shop.example/\u2028"],
  ["a byte order mark", "\ufeffhttps://shop.example/"],
  ["an empty fragment", "https://shop.example/#"],
  ["2,000 characters that are 6,000 when encoded", `https://shop.example/${"ü".repeat(1_000)}`],
])("a url with %s is refused by name", async (_what, url) => {
  for (const [method, path] of [
    ["POST", "/v1/subscriptions"],
    ["PATCH", `/v1/subscriptions/${(await e2e.api.subscribe(newBody())).id}`],
  ] as const) {
    const answer = await call(method, path, { body: { url } });
    expectProblem(answer, 400);
    expect(answer.body.errors).toMatchObject([{ field: "url" }]);
  }
});

test.concurrent.each([
  ["Host", '{"Host":"x"}', "is set by Postrider and cannot be changed"],
  ["Webhook-Id", '{"Webhook-Id":"x"}', "is set by Postrider and cannot be changed"],
  ["x y", '{"x y":"x"}', "is not a header name"],
  ["", '{"":"x"}', "is not a header name"],
  ["__proto__", '{"__proto__":"x"}', "is not a header name"],
  ["x-a", '{"X-A":"1","x-a":"2"}', "is the same header as X-A: names do not differ by case"],
  ["x-a", '{"x-a":"1","x-a":"2"}', "is there twice"],
  ["x-a", '{"x-a":null}', "must be a string"],
  ["x-a", '{"x-a":" 1"}', "must not begin or end with white space"],
  ["x-a", '{"x-a":"1\\u0085"}', "must be printable and at most 2000 characters"],
])("the header %j in %s is refused with the sentence that names it", async (name, headers, message) => {
  for (const [method, path] of [
    ["POST", "/v1/subscriptions"],
    ["PATCH", `/v1/subscriptions/${(await e2e.api.subscribe(newBody())).id}`],
  ] as const) {
    const answer = await call(method, path, { raw: `{"url":"https://shop.example/","headers":${headers}}` });
    expectProblem(answer, 400);
    const field = name === "" ? "headers" : `headers.${name}`;
    expect(answer.body.errors).toMatchObject([{ field: expect.stringContaining(field) as string, message }]);
    expect(answer.body.detail).toContain(message);
  }
});

test.concurrent("every wrong header is named at once", async () => {
  const answer = await call("POST", "/v1/subscriptions", {
    body: newBody({ headers: { host: "x", "x-ok": "1", "x-n": 5, "bad name": "x" } }),
  });
  expectProblem(answer, 400);
  expect(answer.body.errors?.map(({ field }) => field)).toEqual(["headers.host", "headers.x-n", "headers.bad name"]);
});

test.concurrent.each([
  ["POST", "/v1/events", '{"type":"a.b","data":1,"__proto__":{"a":1}}', "__proto__"],
  ["POST", "/v1/events", '{"type":"a.b","data":1,"constructor":1}', "constructor"],
  ["POST", "/v1/events/batch", '{"events":[{"type":"a.b","data":1}],"__proto__":1}', "__proto__"],
  ["POST", "/v1/events/batch", '{"events":[{"type":"a.b","data":1,"__proto__":null}]}', "events.0.__proto__"],
  ["POST", "/v1/events/batch", '{"events":[{"type":"a.b","data":1,"\\u005f_proto__":1}]}', "events.0.__proto__"],
  ["POST", "/v1/subscriptions", '{"url":"https://a.example/","__proto__":{"secret":"x"}}', "__proto__"],
  ["POST", "/v1/subscriptions", '{"url":"https://a.example/","constructor":{}}', "constructor"],
  ["PATCH", "/v1/subscriptions/{id}", '{"__proto__":{"url":"https://b.example/"}}', "__proto__"],
  ["POST", "/v1/subscriptions/{id}/pause", '{"__proto__":1}', "__proto__"],
  ["POST", "/v1/subscriptions/{id}/secret/rotate", '{"__proto__":{"graceSeconds":0}}', "__proto__"],
  ["POST", "/v1/subscriptions/{id}/secret/rotate", '{"toString":1}', "toString"],
  ["GET", "/v1/events?__proto__=x", "", "__proto__"],
  ["GET", "/v1/subscriptions?constructor=x", "", "constructor"],
])("%s %s with %s is refused with the member's name", async (method, path, raw, field) => {
  const { id } = await e2e.api.subscribe(newBody());
  const answer = await e2e.api.call<Problem>(method, path.replace("{id}", id), raw === "" ? {} : { raw });
  expectProblem(answer, 400);
  expect(answer.body.errors).toMatchObject([{ field, message: "is not a known field" }]);
});

test.concurrent("members with names of an object's own are data like any other", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  const data = '{"__proto__":{"a":[{"__proto__":1}]},"constructor":{"prototype":null},"toString":"x"}';
  const created = await e2e.api.call<Subscription>("POST", "/v1/subscriptions", {
    raw: `{"url":"${endpoint.url}","tenant":"${tenant}","metadata":${data},"headers":{"constructor":"x","toString":"y"}}`,
  });
  expect(created.status).toBe(201);
  const path = `${e2e.api.baseUrl}/v1/subscriptions/${created.body.id}`;
  const shown = await (await fetch(path, { headers: { authorization: `Bearer ${e2e.api.key}` } })).text();
  for (const member of ['"__proto__":{"a":[{"__proto__":1}]}', '"constructor":{"prototype":null}', '"toString":"x"']) {
    expect(shown).toContain(member);
  }
  expect(shown).toContain('"headers":{"toString":"y","constructor":"x"}');
  await e2e.api.call("POST", "/v1/events", { raw: `{"type":"a.b","tenant":"${tenant}","data":${data}}` });
  const [request] = await endpoint.untilRequests(1);
  expect(request?.headers).toMatchObject({ constructor: "x", tostring: "y" });
  expect(request?.body.toString()).toContain(data);
});
