import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Agent, fetch, type RequestInit } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { launchBrowser } from "@postrider/testkit/processes/browser.ts";
import type { Env } from "@postrider/testkit/processes/managed-process.ts";
import { freePort } from "@postrider/testkit/processes/ports.ts";
import { isSkipped } from "@postrider/testkit/must-run.ts";
import { whyNoLoopbackAddresses } from "@postrider/testkit/servers/loopback.ts";
import { createNetworkNamespace, whyNoNetworkNamespace } from "@postrider/testkit/servers/network-namespace.ts";
import { startNginx, type Nginx } from "@postrider/testkit/servers/nginx.ts";
import type { TestDatabase } from "@postrider/testkit/servers/database.ts";
import type { TestRedis } from "@postrider/testkit/servers/redis.ts";
import { AppProcess } from "@postrider/testkit/stack/app-process.ts";
import { localSettings, SHORT_TIMES } from "@postrider/testkit/stack/settings.ts";
import { claimTestRedis, createTestDatabase, skipBecause } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { whyNoProgram } from "../../../scripts/services/install.ts";

const CA = readFileSync(
  resolve(import.meta.dirname, "../../../packages/testkit/src/receiver/tls/trusted.cert.pem"),
  "utf8",
);
const FORGED = "203.0.113.9";
const FORWARD = [
  "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for",
  "proxy_set_header X-Forwarded-Proto $scheme",
];

/** Where nginx, Postrider and two clients are. */
interface Place {
  app: string;
  proxy: string;
  /** The address that Postrider sees nginx connect from. */
  proxyOutgoing: string;
  clients: readonly [string, string];
  prefix: readonly string[];
  remove(): void;
}

const onLoopback = (): Place => ({
  app: "127.0.0.1",
  proxy: "127.0.0.1",
  proxyOutgoing: "127.0.0.9",
  clients: ["127.0.0.5", "127.0.0.6"],
  prefix: [],
  remove: () => undefined,
});

function inNamespace(): Place {
  const { outside, inside, prefix, remove } = createNetworkNamespace();
  const [app, ...clients] = outside;
  return { app, proxy: inside, proxyOutgoing: inside, clients, prefix, remove };
}

const noNginx = await whyNoProgram("nginx");
const places = [
  { where: "on another loopback address", create: onLoopback, problem: noNginx ?? (await whyNoLoopbackAddresses()) },
  { where: "in a network namespace of its own", create: inNamespace, problem: noNginx ?? whyNoNetworkNamespace() },
];

for (const { where, create, problem } of places) {
  describe.skipIf(isSkipped(problem))(`behind an nginx with TLS ${problem ?? where}`, () => {
    const password = randomBytes(12).toString("hex");
    let place: Place;
    let database: TestDatabase;
    let redis: TestRedis;
    let nginx: Nginx;
    let apps: { api: AppProcess; console: AppProcess };
    let urls: { api: string; console: string; directApi: string; directConsole: string };
    let key: string;
    let agents: Agent[];

    beforeAll(async () => {
      place = create();
      [database, redis] = await Promise.all([createTestDatabase(), claimTestRedis()]);
      const { app, proxy, proxyOutgoing, prefix } = place;
      const ports = [await freePort(), await freePort(), await freePort(), await freePort()] as const;
      urls = {
        directApi: `http://${app}:${ports[0]}`,
        directConsole: `http://${app}:${ports[1]}`,
        api: `https://${proxy}:${ports[2]}`,
        console: `https://${proxy}:${ports[3]}`,
      };
      const env: Env = {
        ...localSettings(database.url, redis.url),
        ...SHORT_TIMES,
        HOST: app,
        PORT: String(ports[0]),
        CONSOLE_PORT: String(ports[1]),
        CONSOLE_PASSWORD: password,
        TRUST_PROXY: proxyOutgoing,
        PUBLIC_URL: urls.console,
      };
      key = env["API_KEYS"]!;
      apps = { api: await AppProcess.start("ingest", env), console: await AppProcess.start("console", env) };
      await Promise.all([apps.api.untilReady(), apps.console.untilReady()]);
      const directives = [...FORWARD, ...(prefix.length > 0 ? [] : [`proxy_bind ${proxyOutgoing}`])];
      nginx = await startNginx({
        address: proxy,
        prefix,
        servers: [
          { port: ports[2], upstream: urls.directApi, directives },
          // The host is left to nginx's default, the upstream's, as in most configurations of beginners.
          { port: ports[3], upstream: urls.directConsole, directives },
        ],
      });
      agents = place.clients.map(
        (localAddress) => new Agent({ localAddress, connect: { ca: CA, servername: "localhost" } }),
      );
    });
    afterAll(async () => {
      await Promise.all((agents ?? []).map((agent) => agent.close()));
      await nginx?.stop();
      await Promise.all(Object.values(apps ?? {}).map((one) => one.stop()));
      place?.remove();
      await Promise.all([database?.drop(), redis?.release()]);
    });

    const call = (client: 0 | 1, url: string, init: RequestInit = {}) =>
      fetch(url, { redirect: "manual", ...init, dispatcher: agents[client]! });

    /** The log line of a process that has these properties. */
    const line = (app: AppProcess, wanted: Record<string, unknown>) =>
      waitFor(`a line with ${JSON.stringify(wanted)}`, () =>
        app
          .output()
          .split("\n")
          .filter((text) => text.startsWith("{"))
          .map((text) => JSON.parse(text) as Record<string, unknown>)
          .find((one) => Object.entries(wanted).every(([name, value]) => one[name] === value)),
      );

    test("an operator logs in with a browser, sees the board, and logs out", async (context) => {
      const browser = await launchBrowser();
      if (browser === undefined)
        skipBecause(context, "there is no Chromium or Chrome: install one, or set CHROMIUM_PATH");
      try {
        const session = await browser.newContext({ ignoreHTTPSErrors: true });
        const page = await session.newPage();
        await page.goto(`${urls.console}/queues`);
        await page.fill("input[name=password]", password);
        await page.click("button");
        await page.waitForSelector("text=dispatch");
        expect(page.url()).toMatch(new RegExp(`^${urls.console}/queues`));
        expect(await session.cookies()).toEqual([
          expect.objectContaining({
            name: "__Host-postrider_console",
            domain: place.proxy,
            secure: true,
            httpOnly: true,
            sameSite: "Strict",
          }),
        ]);
        await page.goto(`${urls.console}/logout`);
        await page.click("button");
        await page.goto(`${urls.console}/queues`);
        expect(new URL(page.url()).pathname).toBe("/login");
      } finally {
        await browser.close();
      }
    });

    test("the API works, and the log has the client's address, whatever a client forges", async () => {
      const post = (client: 0 | 1, url: string, id: string, headers: Record<string, string> = {}) =>
        call(client, `${url}/v1/events`, {
          method: "POST",
          headers: {
            authorization: `Bearer ${key}`,
            "content-type": "application/json",
            "x-request-id": id,
            ...headers,
          },
          body: JSON.stringify({ type: "order.created", data: 1, tenant: newTenant() }),
        });
      const [first, second] = place.clients;
      const forged = { "x-forwarded-for": FORGED, "x-real-ip": FORGED, forwarded: `for=${FORGED}` };
      const several = { "x-forwarded-for": `${FORGED}, ${place.proxyOutgoing}` };
      const sent = [
        { id: "honest", client: 0, url: urls.api, headers: {}, address: first },
        { id: "forged", client: 0, url: urls.api, headers: forged, address: first },
        { id: "several", client: 1, url: urls.api, headers: several, address: second },
        { id: "direct", client: 1, url: urls.directApi, headers: forged, address: second },
      ] as const;
      for (const { id, client, url, headers, address } of sent) {
        expect([id, (await post(client, url, id, headers)).status]).toEqual([id, 202]);
        expect(await line(apps.api, { msg: "request", requestId: id })).toMatchObject({ address, status: 202 });
      }
    });

    test("the console logs the client's address, and refuses what comes from another origin", async () => {
      const logIn = (client: 0 | 1, url: string, headers: Record<string, string>, secret = password) =>
        call(client, `${url}/login`, { method: "POST", body: new URLSearchParams({ password: secret }), headers });
      const own = { origin: urls.console, "x-forwarded-for": FORGED };
      expect((await logIn(0, urls.console, own)).status).toBe(303);
      await line(apps.console, { msg: "logged in", address: place.clients[0] });
      expect((await logIn(1, urls.console, own, "wrong")).status).toBe(401);
      await line(apps.console, { msg: "login failed", address: place.clients[1] });
      const evil = { origin: "https://evil.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "https" };
      expect((await logIn(0, urls.console, evil)).status).toBe(403);
      expect((await logIn(0, urls.directConsole, evil)).status).toBe(403);
    });

    test("unknown keys are throttled by the client's address, and a right key of the same address is not", async () => {
      const list = async (client: 0 | 1, bearer: string, address: string) =>
        (
          await call(client, `${urls.api}/v1/events`, {
            headers: { authorization: `Bearer ${bearer}`, "x-forwarded-for": address },
          })
        ).status;
      let guesses = 0;
      const guess = () => list(0, randomBytes(24).toString("hex"), `203.0.113.${(guesses += 1)}`);
      expect(await guess()).toBe(401);
      await waitFor("unknown keys are refused for a while", async () => (await guess()) === 429);
      expect(guesses).toBeGreaterThan(100);
      expect(await list(0, key, FORGED)).toBe(200);
      expect(await list(1, randomBytes(24).toString("hex"), FORGED)).toBe(401);
    });
  });
}
