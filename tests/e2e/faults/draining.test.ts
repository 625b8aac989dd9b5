import { once } from "node:events";
import { Agent, request } from "node:http";
import { afterAll, expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const e2e = useStack({ workers: 0, env: { DRAIN_DELAY: "5s", KEEP_ALIVE_TIMEOUT: "66s" } });

/** A load balancer's one connection, which it keeps. */
const connection = new Agent({ keepAlive: true, maxSockets: 1 });
afterAll(() => connection.destroy());

function get(path: string): Promise<{ status: number | undefined; headers: NodeJS.Dict<string | string[]> }> {
  return new Promise((resolve, reject) => {
    const sent = request(`${e2e.stack.api.baseUrl}${path}`, { agent: connection }, (response) => {
      response.resume().once("end", () => resolve({ status: response.statusCode, headers: response.headers }));
    });
    sent.once("error", reject).end();
  });
}

test("an idle connection is kept for longer than load balancers keep theirs", async () => {
  expect((await get("/healthz")).headers).toMatchObject({ connection: "keep-alive", "keep-alive": "timeout=66" });
});

test("ingest is not ready from SIGTERM on, and answers for DRAIN_DELAY before it closes", async () => {
  const tenant = newTenant();
  await get("/healthz");
  const exit = e2e.stack.ingest.kill("SIGTERM", 120_000);
  const ready = await waitFor("it is not ready", async () => {
    const answer = await e2e.api.call("GET", "/readyz", { key: null });
    return answer.status === 503 && answer;
  });
  expect(ready.body).toMatchObject({ status: "draining" });
  expect((await fetch(`${e2e.stack.ingest.adminUrl}/readyz`)).status).toBe(503);
  expect(await get("/healthz")).toMatchObject({ status: 200, headers: { connection: "close" } });
  await e2e.api.send({ type: "order.created", data: 1, tenant });
  expect(await exit).toMatchObject({ code: 0 });
});

test("a connection that is kept after its last answer does not delay the end", async () => {
  const long = { SHUTDOWN_DEADLINE: "10m", KEEP_ALIVE_TIMEOUT: "1h", HEADERS_TIMEOUT: "2h", DRAIN_DELAY: "0s" };
  const { ingest, api } = { api: e2e.stack.api, ingest: await e2e.stack.restartIngest("SIGTERM", long) };
  const late = request(`${api.baseUrl}/v1/events`, {
    agent: connection,
    method: "POST",
    headers: { authorization: `Bearer ${api.key}`, "content-type": "application/json", expect: "100-continue" },
  });
  const answered = new Promise<number | undefined>((resolve, reject) => {
    late.once("error", reject).once("response", (response) => {
      response.resume().once("end", () => resolve(response.statusCode));
    });
  });
  late.flushHeaders();
  await once(late, "continue");
  const exit = ingest.kill("SIGTERM", 120_000);
  await waitFor("it stops listening", () =>
    fetch(`${api.baseUrl}/healthz`).then(
      () => false,
      () => true,
    ),
  );
  late.end(JSON.stringify({ type: "order.created", data: 1, tenant: newTenant() }));
  expect(await answered).toBe(202);
  expect(await exit).toMatchObject({ code: 0 });
});
