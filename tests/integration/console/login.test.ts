import { expect, test } from "vitest";
import { startConsole, useConsole } from "./running-console.ts";

const own = useConsole();

test("without a login pages redirect to it, API calls are answered 401, and the health check is open", async () => {
  const page = await own.app.get("/queues/queue/retry?status=failed");
  expect(page.status).toBe(302);
  expect(page.headers.get("location")).toBe("/login?next=%2Fqueues%2Fqueue%2Fretry%3Fstatus%3Dfailed");
  const call = await own.app.get("/queues/api/queues");
  expect(call.status).toBe(401);
  expect(call.headers.get("www-authenticate")).toMatch(/^Basic /);
  expect((await own.app.put("/queues/api/queues/retry/x/retry")).status).toBe(401);
  expect((await own.app.get("/healthz")).status).toBe(200);
});

test("the password opens a session for this site only, and logging out ends it", async () => {
  const wrong = await own.app.post("/login", { password: "wrong" });
  expect(wrong.status).toBe(401);
  expect(wrong.headers.get("set-cookie")).toBeNull();
  expect(await wrong.text()).toContain("That password is not right.");

  const right = await own.app.post("/login", { password: own.env["CONSOLE_PASSWORD"]!, next: "/queues/queue/retry" });
  expect(right.status).toBe(303);
  expect(right.headers.get("location")).toBe("/queues/queue/retry");
  expect(right.headers.get("set-cookie")).toMatch(/; HttpOnly; SameSite=Strict$/);

  const cookie = right.headers.get("set-cookie")!.split(";")[0]!;
  expect((await own.app.get("/", { cookie })).status).toBe(200);
  expect((await own.app.get("/queues", { cookie })).status).toBe(200);
  const tampered = cookie.replace(/\d{13}/, (expiry) => String(Number(expiry) + 1));
  expect((await own.app.get("/queues", { cookie: tampered })).status).toBe(302);

  expect((await own.app.post("/logout", {}, { cookie })).status).toBe(303);
  expect((await own.app.get("/queues", { cookie })).status).toBe(302);
});

test("a login survives a restart and ends with a new password", async () => {
  const cookie = await own.app.logIn();
  const again = await startConsole(own.env);
  const answer = await again.get("/logout", { cookie });
  expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining("logged in as operator")]);
  await again.stop();
  const changed = await startConsole({ ...own.env, CONSOLE_PASSWORD: "another password" });
  expect((await changed.get("/queues", { cookie })).status).toBe(302);
  await changed.stop();
});

test("a login never redirects to another site", async () => {
  const elsewhere = ["https://evil.example/", "//evil.example", "/\\evil.example", "/.//evil.example", "javascript:1"];
  for (const next of elsewhere) {
    const answer = await own.app.post("/login", { password: own.env["CONSOLE_PASSWORD"]!, next });
    expect([next, answer.headers.get("location")]).toEqual([next, "/queues"]);
  }
});

test("scripts log in with HTTP Basic", async () => {
  expect((await own.app.get("/queues/api/queues", own.app.basic)).status).toBe(200);
  const wrong = { authorization: `Basic ${btoa("operator:wrong")}` };
  expect((await own.app.get("/queues/api/queues", wrong)).status).toBe(401);
  expect((await own.app.get("/queues", wrong)).status).toBe(401);
});

test("guessing passwords is throttled, and the right password and sessions are not", async () => {
  const guessed = await startConsole(own.env);
  const cookie = await guessed.logIn();
  for (let n = 0; n < 10; n += 1) expect((await guessed.post("/login", { password: `guess ${n}` })).status).toBe(401);
  const late = await guessed.post("/login", { password: "guess 11" });
  expect(late.status).toBe(429);
  expect(Number(late.headers.get("retry-after"))).toBeGreaterThan(0);
  const wrong = { authorization: `Basic ${btoa("operator:guess 12")}` };
  expect((await guessed.get("/queues/api/queues", wrong)).status).toBe(429);
  // A client that is not a trusted proxy chooses no address.
  expect((await guessed.get("/queues/api/queues", { ...wrong, "x-forwarded-for": "192.0.2.7" })).status).toBe(429);
  expect((await guessed.post("/login", { password: own.env["CONSOLE_PASSWORD"]! })).status).toBe(303);
  expect((await guessed.get("/queues/api/queues", guessed.basic)).status).toBe(200);
  expect((await guessed.get("/logout", { cookie })).status).toBe(200);
  await guessed.stop();
});

test("of many guesses at once only a few are checked, and a right password waits for its turn", async () => {
  const guessed = await startConsole(own.env);
  const [cookie, password] = [await guessed.logIn(), own.env["CONSOLE_PASSWORD"]!];
  for (let n = 0; n < 10; n += 1) await guessed.post("/login", { password: `guess ${n}` });
  const answers = await Promise.all(Array.from({ length: 100 }, () => guessed.post("/login", { password })));
  const statuses = answers.map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set([303, 429]));
  const refused = answers.find(({ status }) => status === 429)!;
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(await refused.text()).not.toContain("not right");
  expect((await guessed.get("/logout", { cookie })).status).toBe(200);
  await guessed.stop();
});

test("a page of another origin changes nothing, although the browser is logged in", async () => {
  const cookie = await own.app.logIn();
  for (const headers of [
    { origin: "https://evil.example" },
    { origin: "null" },
    { origin: own.app.url.replace(/\d+$/, "1") },
    { "sec-fetch-site": "cross-site" },
  ]) {
    const answer = await own.app.put("/queues/api/queues/retry/x/retry", { cookie, ...headers });
    expect([headers, answer.status]).toEqual([headers, 403]);
  }
  const sameOrigin = { cookie, origin: own.app.url, "sec-fetch-site": "same-origin" };
  expect((await own.app.put("/queues/api/queues/retry/x/retry", sameOrigin)).status).toBe(404);
});
