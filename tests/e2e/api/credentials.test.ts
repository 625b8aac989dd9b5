import { randomBytes } from "node:crypto";
import pg from "pg";
import { beforeAll, afterAll, expect, test } from "vitest";
import type { Problem, Subscription } from "@postrider/testkit/client/types.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { expectProblem } from "./problems.ts";

const e2e = useStack();
const MASK = "********";

let pool: pg.Pool;
beforeAll(() => {
  pool = new pg.Pool({ connectionString: e2e.stack.databaseUrl, max: 2 });
});
afterAll(() => pool?.end());

const newCredential = () => `mark${randomBytes(12).toString("hex")}`;

async function subscribed(headers: Record<string, string>, behaviour?: Parameters<typeof e2e.receiver.endpoint>[0]) {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint(behaviour);
  const subscription = await e2e.api.subscribe({ tenant, url: endpoint.url, headers, retrySchedule: [] });
  const path = `/v1/subscriptions/${subscription.id}`;
  const patch = (change: Record<string, unknown>) => e2e.api.call<Problem>("PATCH", path, { body: change });
  const send = async () => {
    const before = endpoint.requests.length;
    const event = await e2e.api.send({ type: "order.created", data: 1, tenant });
    const requests = await endpoint.untilRequests(before + 1);
    return { event, headers: requests.at(-1)!.headers };
  };
  return { tenant, endpoint, subscription, path, patch, send };
}

/** Every row of the tables as text. */
async function everythingStored(): Promise<string> {
  const tables = ["subscriptions", "idempotency_keys", "events", "deliveries", "attempts"];
  const texts = await Promise.all(
    tables.map(async (table) => (await pool.query<{ text: string }>(`select t::text as text from ${table} t`)).rows),
  );
  return texts.flatMap((rows) => rows.map(({ text }) => text)).join("\n");
}

test("a credential among the headers is sealed in the database, masked in every answer, and sent", async () => {
  const credential = newCredential();
  const headers = { Authorization: `Bearer ${credential}`, "x-forward": `Basic ${credential}`, "x-team": "accounting" };
  const { tenant, subscription, path, send } = await subscribed(headers);
  const shown = { Authorization: MASK, "x-forward": MASK, "x-team": "accounting" };
  expect(subscription.headers).toEqual(shown);
  const answers = [
    await e2e.api.call<Subscription>("GET", path),
    await e2e.api.call<Subscription>("PATCH", path, { body: { description: "x" } }),
    await e2e.api.call<Subscription>("POST", `${path}/pause`, { headers: { "idempotency-key": "pause" } }),
    await e2e.api.call<Subscription>("POST", `${path}/resume`),
  ];
  for (const { body } of answers) expect(body.headers).toEqual(shown);
  expect((await e2e.api.subscriptions({ tenant })).data).toMatchObject([{ headers: shown }]);
  expect((await send()).headers).toMatchObject({
    authorization: headers.Authorization,
    "x-forward": headers["x-forward"],
    "x-team": "accounting",
  });
  const text = await everythingStored();
  expect(text).toContain("x-team");
  expect(text).not.toContain(credential);
  expect(text).not.toContain("accounting");
});

test.each([
  "Authorization Proxy-Token Cookie X-API-Key x-secret X-Auth x-user-password Ocp-Apim-Subscription-Key".split(" "),
])("the value of %s is masked", async (...names) => {
  const headers = Object.fromEntries(names.map((name) => [name, newCredential()]));
  const { subscription } = await subscribed(headers);
  expect(Object.values(subscription.headers)).toEqual(names.map(() => MASK));
});

test("headers that were read can be written back: a mask keeps the value that it stands for", async () => {
  const { path, patch, send } = await subscribed({
    "X-Api-Key": newCredential(),
    "x-team": "one",
    cookie: "a=12345678",
  });
  const { body } = await e2e.api.call<Subscription>("GET", path);
  const sent = (await send()).headers;
  expect((await patch({ headers: { ...body.headers, "x-team": "two" } })).status).toBe(200);
  expect((await send()).headers).toMatchObject({
    "x-api-key": sent["x-api-key"],
    "x-team": "two",
    cookie: "a=12345678",
  });
  // Under another spelling of the name, and without one of the others.
  expect((await patch({ headers: { "x-API-key": MASK } })).status).toBe(200);
  const last = (await send()).headers;
  expect(last).toMatchObject({ "x-api-key": sent["x-api-key"] });
  expect(last).not.toHaveProperty("cookie");
  expect((await patch({ headers: { "x-api-key": "a new one" } })).status).toBe(200);
  expect((await send()).headers).toMatchObject({ "x-api-key": "a new one" });
});

test("a mask that stands for nothing is refused with the header's name, and never stored", async () => {
  const { path, patch, subscription, endpoint } = await subscribed({ "x-api-key": newCredential(), "x-team": "one" });
  const before = await e2e.api.subscription(subscription.id);
  for (const headers of [{ authorization: MASK }, { "x-team": MASK }, { "x-api-key": "x", "x-new": MASK }]) {
    const refused = await patch({ headers });
    expectProblem(refused, 400);
    const name = Object.entries(headers).find(([, value]) => value === MASK)![0];
    expect(refused.body.errors).toMatchObject([{ field: `headers.${name}` }]);
  }
  expect(await e2e.api.subscription(subscription.id)).toEqual(before);
  const body = { url: endpoint.url, tenant: newTenant(), headers: { authorization: MASK } };
  expectProblem(await e2e.api.call<Problem>("POST", "/v1/subscriptions", { body }), 400);
  expect(path).toContain(subscription.id);
});

test("a receiver that answers with what it was sent puts no credential into the attempt", async () => {
  const credential = `${newCredential()}"\\`;
  const { send } = await subscribed(
    { Authorization: `Bearer ${credential}`, "x-api-key": credential, "x-team": "accounting" },
    (request, response) => response.writeHead(500).end(`${JSON.stringify(request.headers)} bad token ${credential}`),
  );
  const { event } = await send();
  const { attempts } = await e2e.api.untilDelivery(event.id, "dead");
  expect(attempts[0]?.responseBody).toContain("accounting");
  expect(attempts[0]?.responseBody).toMatch(/bad token \*{8}$/);
  expect(attempts[0]?.responseBody).not.toContain(credential.slice(0, 20));
  expect(await everythingStored()).not.toContain(credential.slice(0, 20));
});
