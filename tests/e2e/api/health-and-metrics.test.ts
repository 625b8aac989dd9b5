import { expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { freePort } from "@postrider/testkit/processes/ports.ts";
import { useStack } from "@postrider/testkit/vitest.ts";

const e2e = useStack();
const withoutKey = { key: null };

test("/healthz answers 200 without a key", async () => {
  expect((await e2e.api.call("GET", "/healthz", withoutKey)).status).toBe(200);
});

test("/readyz names Postgres, Redis and the clock, and is ok when all are", async () => {
  const ready = await e2e.api.call("GET", "/readyz", withoutKey);
  expect(ready).toMatchObject({ status: 200, body: { status: "ok" } });
  const { checks } = ready.body as { checks: Record<string, unknown> };
  expect(Object.keys(checks).sort()).toEqual(["clock", "postgres", "redis"]);
});

async function metricsOf(adminUrl: string) {
  const response = await fetch(`${adminUrl}/metrics`);
  return { response, text: await response.text() };
}
const sample =
  /^[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\.)*",?)*\})? (NaN|[+-]?(Inf|[0-9.e+-]+))( \d+)?$/;

test.each(["ingest", "worker"])(
  "the metrics of %s are Prometheus text on the admin port, and contain no id",
  async (name) => {
    const tenant = newTenant();
    const endpoint = e2e.receiver.endpoint();
    const { id: subscription } = await e2e.api.subscribe({ tenant, url: endpoint.url });
    const event = await e2e.api.send({ type: "order.created", data: 1, tenant });
    await e2e.api.untilDelivery(event.id, "delivered");

    const { adminUrl } = name === "ingest" ? e2e.stack.ingest : (e2e.stack.workers[0] ?? e2e.stack.ingest);
    const { response, text } = await metricsOf(adminUrl);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toMatch(/^text\/plain\b/);
    const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    expect(lines.length).toBeGreaterThan(10);
    for (const line of lines) expect(line).toMatch(sample);
    expect(text).toMatch(/^# HELP .+/m);
    expect(text).toMatch(/^# TYPE \S+ (counter|gauge|histogram|summary)$/m);
    for (const unbounded of [tenant, event.id, subscription, endpoint.url]) expect(text).not.toContain(unbounded);
  },
);

test("the API port does not serve metrics", async () => {
  expect((await e2e.api.call("GET", "/metrics")).status).toBe(404);
});

test("ingest without Redis is degraded and ready, accepts with 202, and a worker delivers the events", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  await e2e.api.subscribe({ tenant, url: endpoint.url });
  await e2e.stack.restartIngest("SIGTERM", { REDIS_URL: `redis://127.0.0.1:${await freePort()}` });
  const ready = await e2e.api.call("GET", "/readyz", withoutKey);
  expect(ready).toMatchObject({ status: 200, body: { status: "degraded" } });
  const events = [1, 2, 3].map((data) => e2e.api.send({ type: "order.created", data, tenant }));
  const accepted = await Promise.all(events);
  await endpoint.untilEvents(accepted.map((event) => event.id));
});

test.each([
  ["an answer", "GET", "/v1/events"],
  ["a refusal", "POST", "/v1/events"],
  ["an unknown path", "GET", "/nowhere"],
  ["a health check", "GET", "/healthz"],
])("%s of the API has security headers and does not name the server", async (_what, method, path) => {
  const { headers } = await e2e.api.call(method, path);
  expect(Object.fromEntries(headers)).toMatchObject({
    "content-security-policy": "default-src 'none';frame-ancestors 'none'",
    "strict-transport-security": expect.stringMatching(/^max-age=\d{8}/) as string,
    "x-content-type-options": "nosniff",
  });
  expect(headers.has("x-powered-by")).toBe(false);
});
