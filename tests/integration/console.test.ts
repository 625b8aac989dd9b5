import { createServer, type Server } from "node:http";
import { UnrecoverableError, Worker } from "bullmq";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { readConsoleSettings } from "@postrider/shared/runtime/settings/console.ts";
import { ensureCurrentPartitions } from "@postrider/shared/store/partitions.ts";
import { closeServer, listen } from "@postrider/shared/runtime/listen.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { retryJob, retryJobId } from "@postrider/shared/queue/jobs.ts";
import { KEY_PREFIX } from "@postrider/shared/queue/keys.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { launchBrowser } from "@postrider/testkit/processes/browser.ts";
import { freePort } from "@postrider/testkit/processes/ports.ts";
import type { TestDatabase } from "@postrider/testkit/servers/database.ts";
import type { TestRedis } from "@postrider/testkit/servers/redis.ts";
import { SERVERS_DIR } from "@postrider/testkit/servers/test-servers.ts";
import { AppProcess } from "@postrider/testkit/stack/app-process.ts";
import { localSettings } from "@postrider/testkit/stack/settings.ts";
import { claimTestRedis, createTestDatabase } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { createApp } from "../../apps/console/src/app.ts";
import { createContext, type Context } from "../../apps/console/src/context.ts";
import { startThrowawayRedis } from "../../scripts/services/index.ts";

const NAME = "order.created → shop.example";
const TITLE = { eventType: "order.created", url: "https://shop.example/" };

let database: TestDatabase;
let redis: TestRedis;
let env: Record<string, string>;

beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), claimTestRedis()]);
  env = { ...localSettings(database.url, redis.url), LOG_LEVEL: "silent" };
});
afterAll(async () => {
  await redis?.release();
  await database?.drop();
});

describe("the console", () => {
  let app: RunningConsole;
  beforeAll(async () => {
    app = await startConsole(env);
    await waitFor("Redis is there", app.context.isReady);
    await ensureCurrentPartitions(app.context.pool, Date.now());
  });
  beforeEach(async () => {
    await app.context.queues.retry.obliterate({ force: true });
  });
  afterAll(() => app?.stop());

  test("without a login pages redirect to it, API calls are answered 401, and the health check is open", async () => {
    const page = await app.get("/queues/queue/retry?status=failed");
    expect(page.status).toBe(302);
    expect(page.headers.get("location")).toBe("/login?next=%2Fqueues%2Fqueue%2Fretry%3Fstatus%3Dfailed");
    const call = await app.get("/queues/api/queues");
    expect(call.status).toBe(401);
    expect(call.headers.get("www-authenticate")).toMatch(/^Basic /);
    expect((await app.put("/queues/api/queues/retry/x/retry")).status).toBe(401);
    expect((await app.get("/healthz")).status).toBe(200);
  });

  test("the password opens a session for this site only, and logging out ends it", async () => {
    const wrong = await app.post("/login", { password: "wrong" });
    expect(wrong.status).toBe(401);
    expect(wrong.headers.get("set-cookie")).toBeNull();
    expect(await wrong.text()).toContain("That password is not right.");

    const right = await app.post("/login", { password: env["CONSOLE_PASSWORD"]!, next: "/queues/queue/retry" });
    expect(right.status).toBe(303);
    expect(right.headers.get("location")).toBe("/queues/queue/retry");
    expect(right.headers.get("set-cookie")).toMatch(/; HttpOnly; SameSite=Strict$/);

    const cookie = right.headers.get("set-cookie")!.split(";")[0]!;
    expect((await app.get("/", { cookie })).status).toBe(200);
    expect((await app.get("/queues", { cookie })).status).toBe(200);
    const tampered = cookie.replace(/\d{13}/, (expiry) => String(Number(expiry) + 1));
    expect((await app.get("/queues", { cookie: tampered })).status).toBe(302);

    expect((await app.post("/logout", {}, { cookie })).status).toBe(303);
    expect((await app.get("/queues", { cookie })).status).toBe(302);
  });

  test("a login survives a restart and ends with a new password", async () => {
    const cookie = await app.logIn();
    const again = await startConsole(env);
    const answer = await again.get("/logout", { cookie });
    expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining("logged in as operator")]);
    await again.stop();
    const changed = await startConsole({ ...env, CONSOLE_PASSWORD: "another password" });
    expect((await changed.get("/queues", { cookie })).status).toBe(302);
    await changed.stop();
  });

  test("a login never redirects to another site", async () => {
    const elsewhere = [
      "https://evil.example/",
      "//evil.example",
      "/\\evil.example",
      "/.//evil.example",
      "javascript:1",
    ];
    for (const next of elsewhere) {
      const answer = await app.post("/login", { password: env["CONSOLE_PASSWORD"]!, next });
      expect([next, answer.headers.get("location")]).toEqual([next, "/queues"]);
    }
  });

  test("scripts log in with HTTP Basic", async () => {
    expect((await app.get("/queues/api/queues", app.basic)).status).toBe(200);
    const wrong = { authorization: `Basic ${btoa("operator:wrong")}` };
    expect((await app.get("/queues/api/queues", wrong)).status).toBe(401);
    expect((await app.get("/queues", wrong)).status).toBe(401);
  });

  test("guessing passwords is throttled, and sessions are not", async () => {
    const guessed = await startConsole(env);
    const cookie = await guessed.logIn();
    for (let n = 0; n < 10; n += 1) expect((await guessed.post("/login", { password: `guess ${n}` })).status).toBe(401);
    const late = await guessed.post("/login", { password: env["CONSOLE_PASSWORD"]! });
    expect(late.status).toBe(429);
    expect(Number(late.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await guessed.get("/queues/api/queues", guessed.basic)).status).toBe(429);
    expect((await guessed.get("/logout", { cookie })).status).toBe(200);
    await guessed.stop();
  });

  test("a page of another origin changes nothing, although the browser is logged in", async () => {
    const cookie = await app.logIn();
    for (const headers of [
      { origin: "https://evil.example" },
      { origin: "null" },
      { origin: app.url.replace(/\d+$/, "1") },
      { "sec-fetch-site": "cross-site" },
    ]) {
      const answer = await app.put("/queues/api/queues/retry/x/retry", { cookie, ...headers });
      expect([headers, answer.status]).toEqual([headers, 403]);
    }
    const own = { cookie, origin: app.url, "sec-fetch-site": "same-origin" };
    expect((await app.put("/queues/api/queues/retry/x/retry", own)).status).toBe(404);
  });

  test("the board's page loads nothing from other hosts", async () => {
    const answer = await app.get("/queues", app.basic);
    expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(await answer.text()).not.toMatch(/(href|src)="https?:/);
  });

  test("a retry job shows the API path of its delivery", async () => {
    const delivery = await app.deadLetter();
    const { job } = await app.json(`/queues/api/queues/retry/${retryJobId(delivery, 0)}`);
    expect(job.name).toBe(NAME);
    expect(job.data.api).toBe(`/v1/deliveries/${toPublicId("dlv", delivery)}`);
  });

  test("Retry on a dead letter is a manual retry, through Postgres", async () => {
    const delivery = await app.deadLetter();
    const answer = await app.put(`/queues/api/queues/retry/${retryJobId(delivery, 0)}/retry`, app.basic);
    expect(answer.status).toBe(204);
    expect(await app.row(delivery)).toEqual({ state: "retrying", cycle: 1 });
    expect(await app.jobState(delivery, 0)).toBe("unknown");
    expect(await app.jobState(delivery, 1)).toBe("waiting");
    const retried = { user: "operator", delivery: toPublicId("dlv", delivery), kind: "retrying", cycle: 1 };
    expect(app.logged).toContainEqual(expect.objectContaining(retried));
  });

  test("two clicks on Retry begin one new cycle", async () => {
    const delivery = await app.deadLetter();
    const path = `/queues/api/queues/retry/${retryJobId(delivery, 0)}/retry`;
    const answers = await Promise.all([app.put(path, app.basic), app.put(path, app.basic)]);
    expect(answers.map(({ status }) => status).filter((status) => status === 204)).toHaveLength(1);
    expect(await app.row(delivery)).toEqual({ state: "retrying", cycle: 1 });
  });

  test("a dead letter that was delivered in the meantime is not sent again, and leaves the board", async () => {
    const delivery = await app.deadLetter();
    await app.context.pool.query("update deliveries set state = 'delivered', dead_reason = null where id = $1", [
      delivery,
    ]);
    const answer = await app.put(`/queues/api/queues/retry/${retryJobId(delivery, 0)}/retry`, app.basic);
    expect(answer.status).toBe(409);
    expect((await answer.json()) as object).toMatchObject({ message: expect.stringContaining("delivered by now") });
    expect(await app.row(delivery)).toEqual({ state: "delivered", cycle: 0 });
    expect(await app.jobState(delivery, 0)).toBe("unknown");
  });

  test("Promote makes a waiting retry due now, through Postgres", async () => {
    const delivery = await app.insertDelivery("retrying");
    await app.context.queues.retry.addBulk([retryJob({ delivery, cycle: 0, ...TITLE, delayMs: 60_000 })]);
    const answer = await app.put(`/queues/api/queues/retry/${retryJobId(delivery, 0)}/promote`, app.basic);
    expect(answer.status).toBe(204);
    expect(await app.row(delivery)).toEqual({ state: "retrying", cycle: 1 });
    expect(await app.jobState(delivery, 0)).toBe("unknown");
    expect(await app.jobState(delivery, 1)).toBe("waiting");
  });

  test("Retry all retries the deliveries that are still dead, and reports the others", async () => {
    const retried = [await app.deadLetter(), await app.deadLetter(), await app.deadLetter()];
    const all = await app.put("/queues/api/queues/retry/retry/failed", app.basic);
    expect([all.status, await all.json()]).toEqual([200, { retried: 3, skipped: 0 }]);
    for (const delivery of retried) expect(await app.row(delivery)).toEqual({ state: "retrying", cycle: 1 });

    const [delivered, ofDeleted, dead] = [await app.deadLetter(), await app.deadLetter(), await app.deadLetter()];
    const { pool, queues } = app.context;
    await pool.query("update deliveries set state = 'delivered', dead_reason = null where id = $1", [delivered]);
    await pool.query(
      "update subscriptions set deleted_at = now() where id = (select subscription_id from deliveries where id = $1)",
      [ofDeleted],
    );
    const some = await app.put("/queues/api/queues/retry/retry/failed", app.basic);
    expect(some.status).toBe(409);
    expect((await some.json()) as object).toMatchObject({
      retried: 1,
      skipped: 2,
      message: "Not retried: 1 delivered by now, 1 of a deleted subscription.",
    });
    expect(await app.row(dead)).toEqual({ state: "retrying", cycle: 1 });
    expect(await queues.retry.getFailedCount()).toBe(1);
  });

  test("actions that would change queues or jobs are refused with an alternative", async () => {
    const delivery = await app.deadLetter();
    const job = `/queues/api/queues/retry/${retryJobId(delivery, 0)}`;
    const refused: [string, string, RegExp][] = [
      ["PUT", "/queues/api/queues/pause", /Pause the one subscription/],
      ["PUT", "/queues/api/queues/retry/pause", /Pause the one subscription/],
      ["PUT", "/queues/api/queues/retry/obliterate", /Postgres is the truth/],
      ["PUT", "/queues/api/queues/retry/empty", /Postgres is the truth/],
      ["PUT", "/queues/api/queues/retry/clean/failed", /Postgres is the truth/],
      ["PUT", "/queues/api/queues/retry/promote", /burst/],
      ["PUT", "/queues/api/queues/retry/concurrency", /maxInFlight/],
      ["PUT", "/queues/api/queues/dispatch/retry/failed", /dead letters/],
      ["POST", "/queues/api/queues/retry/add", /POST \/v1\/events/],
      ["PUT", `${job}/clean`, /Postgres is the truth/],
      ["PATCH", `${job}/update-data`, /ids and nothing else/],
      ["PATCH", `${job}/delay`, /retry it/],
    ];
    for (const [method, path, instead] of refused) {
      const answer = await app.call(method, path, app.basic, "{}");
      const body = (await answer.json()) as { message: string };
      expect([path, answer.status, body.message]).toEqual([path, 403, expect.stringMatching(instead)]);
    }
    expect(await app.jobState(delivery, 0)).toBe("failed");
    expect(await app.context.queues.retry.isPaused()).toBe(false);
  });

  test("a page of the board has at most 100 jobs, whatever the request asks for", async () => {
    const jobs = Array.from({ length: 120 }, () => retryJob({ delivery: newId(), cycle: 0, ...TITLE, delayMs: 0 }));
    await app.context.queues.retry.addBulk(jobs);
    const { queues } = await app.json("/queues/api/queues?activeQueue=retry&status=waiting&page=1&jobsPerPage=100000");
    const retry = queues.find(({ name }: { name: string }) => name === "retry");
    expect(retry.jobs).toHaveLength(100);
  });

  test("a person logs in, finds a dead letter and retries it", async () => {
    const delivery = await app.deadLetter();
    const browser = await launchBrowser();
    try {
      const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
      const troubles: string[] = [];
      page.on("console", (message) => {
        if (message.type() === "error") troubles.push(message.text());
      });
      page.on("pageerror", (error) => troubles.push(error.message));
      page.on("request", (request) => {
        if (!request.url().startsWith(app.url)) troubles.push(`asked for ${request.url()}`);
      });
      /** To look at: where SCREENSHOTS names a folder. */
      const screenshot = async (name: string) => {
        const folder = process.env["SCREENSHOTS"];
        if (folder) await page.screenshot({ path: `${folder}/${name}.png` });
      };

      await page.goto(`${app.url}/queues/queue/retry?status=failed`);
      await screenshot("login");
      await page.getByLabel("Password").fill(env["CONSOLE_PASSWORD"]!);
      await page.getByRole("button", { name: "Log in" }).click();
      await page.getByText(NAME).first().waitFor();
      expect(new URL(page.url()).pathname).toBe("/queues/queue/retry");
      await screenshot("failed");

      // Among the buttons of a job this is the one that is not refused; it has an icon and no name.
      const actions = page.locator("main li > [data-base-ui-tooltip-trigger] button:visible");
      expect(await actions.count()).toBe(1);
      await actions.click();
      await page.getByText("Are you sure that you want to retry this job?").waitFor();
      await screenshot("confirm");
      await page.getByRole("button", { name: "Confirm" }).click();
      await page.getByText(NAME).first().waitFor({ state: "detached" });
      await screenshot("retried");
      expect(await app.row(delivery)).toEqual({ state: "retrying", cycle: 1 });
      expect(troubles).toEqual([]);
    } finally {
      await browser.close();
    }
  });
});

test("the console runs while Redis is down, and shows the queues when it is back", async () => {
  const server = await startThrowawayRedis(SERVERS_DIR);
  await server.kill("SIGKILL");
  const app = await startConsole({ ...env, REDIS_URL: server.url });
  try {
    const page = await app.get("/queues", app.basic);
    expect([page.status, await page.text()]).toEqual([503, expect.stringContaining("Redis is unreachable.")]);
    expect((await app.get("/queues/api/queues", app.basic)).status).toBe(503);
    expect((await app.put("/queues/api/queues/retry/x/retry", app.basic)).status).toBe(503);
    expect((await app.get("/healthz")).status).toBe(200);

    await server.restart();
    await waitFor("the board is back", async () => (await app.get("/queues/api/queues", app.basic)).ok);
    await server.kill("SIGKILL");
    await waitFor("it is unreachable again", async () => (await app.get("/queues", app.basic)).status === 503);
  } finally {
    await app.stop();
    await server.stop();
  }
});

test("the console's process starts without Redis and exits 0 on SIGTERM", async () => {
  const port = await freePort();
  const own = { CONSOLE_PORT: String(port), REDIS_URL: "redis://127.0.0.1:1" };
  const readyUrl = `http://127.0.0.1:${port}/healthz`;
  const app = await AppProcess.start("console", { ...env, ...own }, { readyUrl });
  await app.untilReady();
  expect((await fetch(`${app.adminUrl}/metrics`)).status).toBe(200);
  expect((await fetch(`${app.adminUrl}/readyz`)).status).toBe(503);
  expect(await app.kill("SIGTERM")).toEqual({ code: 0, signal: null });
});

type RunningConsole = Awaited<ReturnType<typeof startConsole>>;

/** The console in this process, on a free port, and what one does with it. */
async function startConsole(settings: Record<string, string>) {
  const logged: object[] = [];
  const context: Context = { ...createContext(readConsoleSettings(settings)), log: collect(logged) };
  const { pool, queues } = context;
  const server: Server = createServer(createApp(context));
  const url = `http://127.0.0.1:${await listen(server, "127.0.0.1", [0])}`;
  const basic = { authorization: `Basic ${btoa(`operator:${settings["CONSOLE_PASSWORD"]}`)}` };

  function call(method: string, path: string, headers: Record<string, string> = {}, body?: string): Promise<Response> {
    const type: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
    return fetch(url + path, { method, headers: { ...type, ...headers }, redirect: "manual", body: body ?? null });
  }

  const app = {
    context,
    url,
    basic,
    logged,
    call,
    get: (path: string, headers?: Record<string, string>) => call("GET", path, headers),
    put: (path: string, headers?: Record<string, string>) => call("PUT", path, headers),
    post: (path: string, form: Record<string, string>, headers: Record<string, string> = {}) =>
      fetch(url + path, { method: "POST", body: new URLSearchParams(form), headers, redirect: "manual" }),
    // oxlint-disable-next-line typescript/no-explicit-any -- Bull Board's answers, of which a test looks at one field
    json: async (path: string): Promise<any> => (await call("GET", path, basic)).json(),

    /** @returns the cookie of a new session */
    async logIn(): Promise<string> {
      const answer = await app.post("/login", { password: settings["CONSOLE_PASSWORD"]! });
      return answer.headers.get("set-cookie")!.split(";")[0]!;
    },

    /** A delivery as a row, without a job. */
    async insertDelivery(state: "dead" | "retrying"): Promise<string> {
      const [subscription, event, delivery] = [newId(), newId(), newId()];
      await pool.query(
        `insert into subscriptions (id, tenant, url, event_types, secrets, headers, max_in_flight, metadata)
         values ($1, 'default', 'https://shop.example/hook', '{*}', '[]', '{}', 32, '{}')`,
        [subscription],
      );
      await pool.query(
        "insert into events (id, tenant, type, body, delivery_count) values ($1, 'default', 'order.created', '{}', 1)",
        [event],
      );
      await pool.query(
        `insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, dead_reason, settled_at, next_attempt_at)
         values ($1, $2, $3, 'default', 'order.created', $4, $5, $6, $7)`,
        state === "dead"
          ? [delivery, event, subscription, state, "exhausted", new Date(), null]
          : [delivery, event, subscription, state, null, null, new Date()],
      );
      return delivery;
    },

    /** A dead delivery, and its failed job as a worker leaves it. */
    async deadLetter(): Promise<string> {
      const delivery = await app.insertDelivery("dead");
      await queues.retry.addBulk([retryJob({ delivery, cycle: 0, ...TITLE, delayMs: 0 })]);
      const connection = new Redis(settings["REDIS_URL"]!, { maxRetriesPerRequest: null });
      const worker = new Worker("retry", null, { connection, prefix: KEY_PREFIX, autorun: false });
      // Of the waiting jobs the oldest comes first: other tests leave retried ones behind.
      for (let job = await worker.getNextJob("test"); job; job = await worker.getNextJob("test", { block: false })) {
        if (job.data.delivery !== delivery) continue;
        await job.moveToFailed(new UnrecoverableError("exhausted: 503 Service Unavailable"), "test");
        break;
      }
      await worker.close();
      connection.disconnect();
      return delivery;
    },

    async row(delivery: string): Promise<unknown> {
      return (await pool.query("select state, cycle from deliveries where id = $1", [delivery])).rows[0];
    },
    jobState: (delivery: string, cycle: number) => queues.retry.getJobState(retryJobId(delivery, cycle)),

    async stop() {
      await closeServer(server, 0);
      await context.close();
    },
  };
  return app;
}

/** A log that remembers what it was told. */
function collect(logged: object[]): Logger {
  const remember = (line: object) => void logged.push(line);
  return { info: remember, warn: remember, error: remember } as unknown as Logger;
}
