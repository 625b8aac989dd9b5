import { afterAll, expect, test } from "vitest";
import type { Problem } from "@postrider/testkit/client/types.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { startDnsServer } from "@postrider/testkit/servers/dns.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const SECRET_V4 = "10.83.84.85";
const SECRET_V6 = "fd00:83:84::85";
const dns = await startDnsServer({
  "inside.example": { a: [SECRET_V4], aaaa: [SECRET_V6] },
  "intranet.corp.example": { a: [SECRET_V4] },
});
afterAll(() => dns.close());
// The resolver of the system, and of c-ares, would complete names with this domain.
const SEARCH = { LOCALDOMAIN: "corp.example", RES_OPTIONS: "ndots:5" };
const e2e = useStack({ workers: 1, env: { DNS_SERVERS: dns.address, ...SEARCH } });

/** Everything that a tenant can read about a delivery and its subscription. */
async function visibleTo(tenant: string, id: string): Promise<string> {
  const { data } = await e2e.api.deliveries({ tenant });
  const shown = await Promise.all([
    e2e.api.subscription(id),
    ...data.map((delivery) => e2e.api.call("GET", `/v1/deliveries/${delivery.id}`).then(({ body }) => body)),
  ]);
  return JSON.stringify([data, shown]);
}

test("a name with an internal address is refused, and only the log has the address", async () => {
  const body = { url: "http://inside.example/hook", tenant: newTenant() };
  const { id } = await e2e.api.subscribe({ tenant: body.tenant, url: "http://127.0.0.1:9/" });
  for (const [method, path] of [
    ["POST", "/v1/subscriptions"],
    ["PATCH", `/v1/subscriptions/${id}`],
  ] as const) {
    const { url } = body;
    const answer = await e2e.api.call<Problem>(method, path, { body: method === "POST" ? body : { url } });
    expect(answer).toMatchObject({
      status: 422,
      body: {
        code: "address_not_allowed",
        errors: [{ field: "url", message: "deliveries may not reach the address of its host" }],
      },
    });
    expect(JSON.stringify(answer.body)).not.toMatch(/10\.83|fd00/);
    await waitFor("the log has it", async () => {
      const lines = e2e.stack.ingest.output().split("\n");
      return lines.some((line) => line.includes(answer.headers.get("x-request-id")!) && line.includes(SECRET_V4));
    });
  }
});

test("a name that gets an internal address later makes a dead letter without the address", async () => {
  const tenant = newTenant();
  const { id } = await e2e.api.subscribe({ tenant, url: "http://later.example/hook" });
  dns.set("later.example", { a: [SECRET_V4], aaaa: [SECRET_V6] });
  const event = await waitFor("it is found", async () => {
    const sent = await e2e.api.send({ type: "order.created", data: 1, tenant });
    const delivery = await e2e.api.untilDelivery(sent.id, "dead");
    return delivery.deadReason === "blocked" && delivery;
  });
  expect(event.lastError).toBe("deliveries may not reach the address of the host");
  expect(await visibleTo(tenant, id)).not.toMatch(/10\.83|fd00/);
  expect(e2e.stack.workers[0]!.output()).toContain(SECRET_V4);
});

test("names are absolute: search domains are not used", async () => {
  const tenant = newTenant();
  // It would be refused if it were completed to a name with an internal address.
  const { id } = await e2e.api.subscribe({ tenant, url: "http://intranet/hook", retrySchedule: ["50ms"] });
  const event = await e2e.api.send({ type: "order.created", data: 1, tenant });
  const { lastError } = await e2e.api.untilDelivery(event.id, "dead");
  expect(lastError).toBe("the host name does not resolve (ENOTFOUND)");
  const asked = dns.questions.filter((question) => question.includes("intranet"));
  expect(new Set(asked)).toEqual(new Set(["A intranet", "AAAA intranet"]));
  expect(await visibleTo(tenant, id)).not.toContain("corp.example");
});
