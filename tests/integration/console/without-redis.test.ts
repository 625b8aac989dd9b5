import { expect } from "vitest";
import { testWithOwnServers as test } from "@postrider/testkit/vitest.ts";
import { freePort } from "@postrider/testkit/processes/ports.ts";
import { SERVERS_DIR } from "@postrider/testkit/servers/test-servers.ts";
import { AppProcess } from "@postrider/testkit/stack/app-process.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { startThrowawayRedis } from "../../../scripts/services/index.ts";
import { startConsole, useConsoleSettings } from "./running-console.ts";

const own = useConsoleSettings();

test("the console runs while Redis is down, and shows the queues when it is back", async () => {
  const server = await startThrowawayRedis(SERVERS_DIR);
  await server.kill("SIGKILL");
  const app = await startConsole({ ...own.env, REDIS_URL: server.url });
  try {
    const page = await app.get("/queues", app.basic);
    expect([page.status, await page.text()]).toEqual([503, expect.stringContaining("Redis is unreachable.")]);
    expect((await app.get("/queues/api/queues", app.basic)).status).toBe(503);
    expect((await app.put("/queues/api/queues/retry/x/retry", app.basic)).status).toBe(503);
    expect((await app.get("/healthz")).status).toBe(200);

    await server.restart();
    await waitFor("the board is shown again", async () => (await app.get("/queues/api/queues", app.basic)).ok);
    await server.kill("SIGKILL");
    await waitFor("the board is unavailable again", async () => (await app.get("/queues", app.basic)).status === 503);
  } finally {
    await app.stop();
    await server.stop();
  }
});

test("the console's process starts without Redis and exits 0 on SIGTERM", async () => {
  const port = await freePort();
  const settings = { CONSOLE_PORT: String(port), REDIS_URL: "redis://127.0.0.1:1" };
  const readyUrl = `http://127.0.0.1:${port}/healthz`;
  const app = await AppProcess.start("console", { ...own.env, ...settings }, { readyUrl });
  await app.untilReady();
  expect((await fetch(`${app.adminUrl}/metrics`)).status).toBe(200);
  expect((await fetch(`${app.adminUrl}/readyz`)).status).toBe(503);
  expect(await app.kill("SIGTERM")).toEqual({ code: 0, signal: null });
});
