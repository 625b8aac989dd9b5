import { afterAll, beforeAll, expect, test } from "vitest";
import { PollingClient } from "@postrider/testkit/client/polling-client.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { type Receiver, startReceiver } from "@postrider/testkit/receiver/receiver.ts";
import type { TestDatabase } from "@postrider/testkit/servers/database.ts";
import type { TestRedis } from "@postrider/testkit/servers/redis.ts";
import { localSettings, SHORT_TIMES } from "@postrider/testkit/stack/settings.ts";
import { claimTestRedis, createTestDatabase } from "@postrider/testkit/vitest.ts";
import { withClient } from "../../../scripts/services/index.ts";
import { startStack, type Stack } from "../../../scripts/stack.ts";

let database: TestDatabase;
let redis: TestRedis;
let receiver: Receiver;
let stack: Stack;
let api: PollingClient;

// As `npm start` does, which allows deliveries to this machine.
beforeAll(async () => {
  [database, redis, receiver] = await Promise.all([createTestDatabase(), claimTestRedis(), startReceiver()]);
  const env = { ...localSettings(database.url, redis.url), ...SHORT_TIMES };
  stack = await startStack({
    env: { ...env, PORT: "0", CONSOLE_PORT: "0", ADMIN_PORT: "0", WORKERS: "1", LOG_LEVEL: "warn" },
    report: () => undefined,
    print: () => undefined,
  });
  api = new PollingClient(stack.apiUrl, stack.apiKey);
});
afterAll(async () => {
  await receiver?.close();
  await stack?.stop();
  await Promise.all([database?.drop(), redis?.release()]);
});

const ownPorts = (): string[] =>
  [...Object.values(stack.metricsUrls), stack.apiUrl, stack.consoleUrl, stack.databaseUrl, stack.redisUrl].map(
    (url) => new URL(url).port,
  );

test("no subscription may have a port of Postrider or its servers as its target, however it is written", async () => {
  expect(new Set(ownPorts()).size).toBe(7);
  for (const port of ownPorts()) {
    for (const host of ["127.0.0.1", "127.9.9.9", "localhost", "metrics.localhost", "[::1]", "2130706433"]) {
      const url = `http://${host}:${port}/metrics`;
      const { status, body } = await api.call("POST", "/v1/subscriptions", { body: { url, tenant: newTenant() } });
      expect([url, status, body]).toEqual([url, 422, expect.objectContaining({ code: "address_not_allowed" })]);
    }
  }
});

test("a delivery never reaches them, and other ports of this machine are reached", async () => {
  const tenant = newTenant();
  const { id } = await api.subscribe({ tenant, url: receiver.endpoint().url });
  const fine = await api.send({ type: "order.created", data: 1, tenant });
  await api.untilDelivery(fine.id, "delivered");
  for (const url of [...Object.values(stack.metricsUrls), `${stack.consoleUrl}/healthz`, `${stack.apiUrl}/readyz`]) {
    const other = newTenant();
    const moved = await api.subscribe({ tenant: other, url: receiver.endpoint().url });
    await withClient(database.url, (client) =>
      client.query("update subscriptions set url = $1 where tenant = $2", [url, other]),
    );
    const event = await api.send({ type: "order.created", data: 1, tenant: other });
    const delivery = await api.untilDelivery(event.id, "dead");
    expect([url, delivery]).toEqual([url, expect.objectContaining({ deadReason: "blocked", subscription: moved.id })]);
    expect(JSON.stringify(delivery.attempts)).not.toContain("postrider_");
  }
  expect((await api.subscription(id)).status).toBe("active");
});
