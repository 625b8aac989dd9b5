import { connect, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { scrape, total } from "@postrider/testkit/stack/metrics.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { withClient } from "../../../scripts/services/index.ts";
import { callsTo, expectProblem } from "./problems.ts";

const LIMITS = { MAX_SUBSCRIPTIONS_PER_TENANT: "20", MAX_BACKLOG_PER_TENANT: "10", MAX_CONNECTIONS: "60" };
const e2e = useStack({ env: LIMITS });
const { call } = callsTo(e2e);

const opened: Socket[] = [];
afterEach(() => {
  for (const socket of opened.splice(0)) socket.destroy();
});

test("a tenant has at most MAX_SUBSCRIPTIONS_PER_TENANT subscriptions, also where many are created at once", async () => {
  const tenant = newTenant();
  const url = "http://127.0.0.1:9/";
  const create = () => call("POST", "/v1/subscriptions", { body: { tenant, url } });
  const answers = await Promise.all(Array.from({ length: 40 }, create));
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(20);
  for (const refused of answers.filter(({ status }) => status !== 201)) {
    expectProblem(refused, 409);
    expect(refused.body.code).toBe("subscription_limit");
  }
  const { data } = await e2e.api.subscriptions({ tenant });
  expect(data).toHaveLength(20);
  await e2e.api.subscribe({ url, tenant: newTenant() });
  await e2e.api.deleteSubscription(data[0]!.id);
  await e2e.api.subscribe({ url, tenant });
  expectProblem(await create(), 409);
});

test("a tenant with MAX_BACKLOG_PER_TENANT unfinished deliveries posts no more until some are finished", async () => {
  const tenant = newTenant();
  const { id } = await e2e.api.subscribe({ tenant, url: e2e.receiver.endpoint().url });
  await e2e.api.pause(id);
  const event = { type: "order.created", data: 1, tenant };
  const post = () => call("POST", "/v1/events", { body: event });
  const refused = await waitFor("it is refused", async () => {
    const answer = await post();
    return answer.status !== 202 && answer;
  });
  expectProblem(refused, 429);
  expect(refused.body.code).toBe("backlog_full");
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expectProblem(
    await call("POST", "/v1/events/batch", { body: { events: [{ ...event, tenant: newTenant() }, event] } }),
    429,
  );
  const { data } = await e2e.api.deliveries({ tenant });
  expect(data.length).toBeGreaterThanOrEqual(10);
  await e2e.api.send({ ...event, tenant: newTenant() });
  await e2e.api.resume(id);
  await waitFor("it is accepted", async () => (await post()).status === 202);
});

test("a count that fails leaves the last one good, and is counted", async () => {
  const tenant = newTenant();
  const { id } = await e2e.api.subscribe({ tenant, url: e2e.receiver.endpoint().url });
  await e2e.api.pause(id);
  const post = (of = tenant) =>
    call("POST", "/v1/events", { body: { type: "order.created", data: 1, tenant: of } }).then(({ status }) => status);
  await waitFor("it is refused", async () => (await post()) === 429);
  const failures = async () => total(await scrape(e2e.stack.ingest.adminUrl), "postrider_backlog_count_failures_total");
  const rename = (from: string, to: string) =>
    withClient(e2e.stack.databaseUrl, (client) => client.query(`alter table ${from} rename to ${to}`));
  expect(await failures()).toBe(0);
  await rename("held_counts", "away");
  await waitFor("two counts have failed", async () => (await failures()) >= 2);
  expect(await post()).toBe(429);
  expect(await post(newTenant())).toBe(202);
  await rename("away", "held_counts");
  await e2e.api.resume(id);
  await waitFor("it is accepted", async () => (await post()) === 202);
});

test("connections beyond MAX_CONNECTIONS are closed at once, and others go on", async () => {
  const { hostname, port } = new URL(e2e.api.baseUrl);
  const refused = async () => total(await scrape(e2e.stack.ingest.adminUrl), "postrider_connections_refused_total");
  for (let n = 0; n < 80; n += 1) opened.push(connect(Number(port), hostname).on("error", () => undefined));
  await waitFor("some are refused", async () => (await refused()) >= 20);
  expect(opened.filter(({ destroyed }) => !destroyed).length).toBeGreaterThan(0);
  for (const socket of opened) socket.destroy();
  await waitFor("it answers", async () => (await call("GET", "/healthz")).status === 200);
});
