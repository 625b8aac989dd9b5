import { describe, expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const password = "a password for the console";
const e2e = useStack({ console: true, env: { CONSOLE_PASSWORD: password } });

const basic = (secret: string) => ({ authorization: `Basic ${Buffer.from(`operator:${secret}`).toString("base64")}` });

async function get(path: string, headers: Record<string, string> = {}, method = "GET") {
  const response = await fetch(e2e.stack.consoleUrl + path, { method, headers, redirect: "manual" });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const logIn = (secret: string) =>
  fetch(`${e2e.stack.consoleUrl}/login`, {
    method: "POST",
    body: new URLSearchParams({ user: "operator", password: secret, next: "/queues" }),
    headers: { origin: e2e.stack.consoleUrl },
    redirect: "manual",
  });

interface Board {
  queues: { name: string; jobs: { id: string }[] }[];
}

const boardOf = async (query = "") =>
  JSON.parse((await get(`/queues/api/queues${query}`, basic(password))).text) as Board;

function expectClosed({ status, text, headers }: Awaited<ReturnType<typeof get>>): void {
  expect(status).toBeOneOf([302, 303, 401, 403, 429]);
  if (status < 400) expect(headers.get("location")).toMatch(/^\/login\b/);
  expect(text).not.toMatch(/dispatch|used_memory/);
}

describe("the board", () => {
  test.each(["/queues", "/queues/", "/queues/queue/retry", "/queues/api/queues", "/queues/api/redis/stats"])(
    "shows nothing at %s without a login",
    async (path) => {
      for (const headers of [{}, { cookie: "connect.sid=s%3Aforged.forged" }]) expectClosed(await get(path, headers));
    },
  );

  test("opens after a login, with a cookie that scripts cannot read", async () => {
    const response = await logIn(password);
    expect(response.status).toBeOneOf([302, 303]);
    expect(response.headers.get("location")).toBe("/queues");
    const [cookie = ""] = response.headers.getSetCookie();
    expect(cookie).toMatch(/HttpOnly/i);
    expect(cookie).toMatch(/SameSite=(Lax|Strict)/i);
    const board = await get("/queues", { cookie: cookie.split(";")[0] ?? "" });
    expect(board).toMatchObject({ status: 200, text: expect.stringMatching(/<html/i) as string });
  });

  test("never redirects a login to another site", async () => {
    const response = await fetch(`${e2e.stack.consoleUrl}/login`, {
      method: "POST",
      body: new URLSearchParams({ user: "operator", password, next: "//evil.example/queues" }),
      headers: { origin: e2e.stack.consoleUrl },
      redirect: "manual",
    });
    expect(response.headers.get("location") ?? "/").toMatch(/^\/(?!\/)/);
  });

  test("shows the three lanes, and the dead letters that have no retry job", async () => {
    const names = (await boardOf()).queues.map((queue) => queue.name);
    expect(names).toEqual(["dispatch", "retry", "control", "dead-letters"]);
  });

  test.each([
    { queue: "retry", retrySchedule: ["50ms"], attempt: 3 },
    { queue: "dead-letters", retrySchedule: [], attempt: 2 },
  ])("shows a dead letter as failed in $queue, and its Retry is a manual retry in Postgres", async (dead) => {
    const tenant = newTenant();
    const endpoint = e2e.receiver.endpoint(answer(500));
    await e2e.api.subscribe({ tenant, url: endpoint.url, retrySchedule: dead.retrySchedule });
    const event = await e2e.api.send({ type: "order.created", data: 1, tenant });
    await e2e.api.untilDelivery(event.id, "dead");
    const job = await waitFor("the dead letter is on the board", async () => {
      const { queues } = await boardOf(`?activeQueue=${dead.queue}&status=failed&page=1&jobsPerPage=10`);
      return queues.find((queue) => queue.name === dead.queue)?.jobs[0];
    });
    endpoint.behave(answer(200));
    const headers = { ...basic(password), origin: e2e.stack.consoleUrl };
    const retried = await get(`/queues/api/queues/${dead.queue}/${encodeURIComponent(job.id)}/retry`, headers, "PUT");
    expect(retried.status, retried.text).toBeLessThan(300);
    const { attempts } = await e2e.api.untilDelivery(event.id, "delivered");
    expect(attempts.at(-1)).toMatchObject({ number: dead.attempt, trigger: "manual", responseStatus: 200 });
  });
});

test("the console's metrics are Prometheus text on its admin port", async () => {
  const response = await fetch(`${e2e.stack.console?.adminUrl}/metrics`);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toMatch(/^text\/plain\b/);
  expect(await response.text()).toMatch(/^# TYPE \S+ (counter|gauge|histogram|summary)$/m);
});

// The last test, because the console throttles logins after wrong passwords.
test("a wrong password opens nothing", async () => {
  for (const secret of ["wrong", "", `${password} `]) {
    expectClosed(await get("/queues/api/queues", basic(secret)));
    const response = await logIn(secret);
    expect(response.status).toBeOneOf([302, 303, 400, 401, 403, 429]);
    const cookie = response.headers.getSetCookie().map((one) => one.split(";")[0]);
    expectClosed(await get("/queues/api/queues", { cookie: cookie.join("; ") }));
  }
});
