import { expect, test } from "vitest";
import { startConsole, useConsoleSettings } from "./running-console.ts";

const own = useConsoleSettings();
const PUBLIC_URL = "https://console.example.com";

type Console = Awaited<ReturnType<typeof startConsole>>;

const logIn = ({ post }: Console, headers: Record<string, string>) =>
  post("/login", { password: own.env["CONSOLE_PASSWORD"]! }, headers);

/** What a browser and a proxy in front of the console send. */
const forwarded = (address: string) => ({
  origin: PUBLIC_URL,
  "sec-fetch-site": "same-origin",
  "x-forwarded-host": "console.example.com",
  "x-forwarded-proto": "https",
  "x-forwarded-for": address,
});

test("with PUBLIC_URL the login works behind a proxy that forwards nothing, with a cookie for https only", async () => {
  const app = await startConsole({ ...own.env, PUBLIC_URL });
  const answer = await logIn(app, { origin: PUBLIC_URL });
  expect(answer.status).toBe(303);
  const cookie = answer.headers.get("set-cookie")!;
  expect(cookie).toMatch(/^__Host-postrider_console=[^;]+; Max-Age=\d+; Path=\/; Expires=[^;]+; HttpOnly; Secure; SameSite=Strict$/); // prettier-ignore
  const pair = cookie.split(";")[0]!;
  expect((await app.get("/docs", { cookie: pair })).status).toBe(200);
  expect((await app.get("/docs", { cookie: pair.replace("__Host-", "") })).status).toBe(302);
  const end = await app.post("/logout", {}, { cookie: pair, origin: PUBLIC_URL });
  expect(end.headers.get("set-cookie")).toMatch(/^__Host-postrider_console=; Path=\/; Expires=Thu, 01 Jan 1970[^;]+; HttpOnly; Secure/); // prettier-ignore
  await app.stop();
});

test("with PUBLIC_URL every other origin is refused, whatever the headers of a proxy are", async () => {
  const app = await startConsole({ ...own.env, PUBLIC_URL, TRUST_PROXY: "127.0.0.1" });
  const evil = { ...forwarded("192.0.2.7"), origin: "https://evil.example", "x-forwarded-host": "evil.example" };
  for (const headers of [
    evil,
    { origin: "http://console.example.com" },
    { origin: "https://console.example.com:8443" },
    { origin: "null" },
    { ...forwarded("192.0.2.7"), "sec-fetch-site": "same-site" },
  ]) {
    expect([headers, (await logIn(app, headers)).status]).toEqual([headers, 403]);
  }
  await app.stop();
});

test("without PUBLIC_URL a trusted proxy's host and protocol count, and its entry of the client's address", async () => {
  const app = await startConsole({ ...own.env, TRUST_PROXY: "127.0.0.1" });
  const answer = await logIn(app, forwarded("203.0.113.9, 192.0.2.7"));
  expect(answer.status).toBe(303);
  expect(answer.headers.get("set-cookie")).toMatch(/^__Host-.*; Secure/);
  expect(app.logged).toContainEqual(expect.objectContaining({ user: "operator", address: "192.0.2.7" }));
  expect((await logIn(app, { ...forwarded("192.0.2.7"), origin: "https://evil.example" })).status).toBe(403);
  await app.stop();
});

test("headers of a client that is not a trusted proxy change nothing", async () => {
  const app = await startConsole({ ...own.env, TRUST_PROXY: "192.0.2.0/24" });
  expect((await logIn(app, forwarded("192.0.2.7"))).status).toBe(403);
  const { origin: _origin, ...others } = forwarded("192.0.2.7");
  const answer = await logIn(app, { ...others, forwarded: "for=192.0.2.7;proto=https;host=console.example.com" });
  expect(answer.status).toBe(303);
  expect(answer.headers.get("set-cookie")).toMatch(/^postrider_console=(?!.*; Secure)/);
  expect(app.logged).toContainEqual(expect.objectContaining({ user: "operator", address: "127.0.0.1" }));
  await app.stop();
});
