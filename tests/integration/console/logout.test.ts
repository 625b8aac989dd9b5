import { expect, test } from "vitest";
import { startForwarder } from "@postrider/testkit/servers/forwarder.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { withClient } from "../../../scripts/services/index.ts";
import { startConsole, useConsoleSettings } from "./running-console.ts";

const own = useConsoleSettings();

type Console = Awaited<ReturnType<typeof startConsole>>;

const isOpen = async (console: Console, cookie: string) => (await console.get("/docs", { cookie })).status === 200;

test("a session that was logged out stays so after a restart of the console, and in other consoles", async () => {
  const [first, second] = [await startConsole(own.env), await startConsole(own.env)];
  const [cookie, kept] = [await first.logIn(), await first.logIn()];
  expect([await isOpen(first, cookie), await isOpen(second, cookie)]).toEqual([true, true]);
  expect((await first.post("/logout", {}, { cookie })).status).toBe(303);
  expect([await isOpen(first, cookie), await isOpen(second, cookie)]).toEqual([false, false]);
  await Promise.all([first.stop(), second.stop()]);

  const restarted = await startConsole(own.env);
  expect([await isOpen(restarted, cookie), await isOpen(restarted, kept)]).toEqual([false, true]);
  await restarted.stop();
});

test("an emptied Redis brings no session back", async () => {
  const app = await startConsole(own.env);
  const cookie = await app.logIn();
  await app.post("/logout", {}, { cookie });
  await waitFor("Redis is connected", () => app.context.redis.status === "ready");
  await app.context.redis.flushdb();
  await app.stop();
  const restarted = await startConsole(own.env);
  expect(await isOpen(restarted, cookie)).toBe(false);
  await restarted.stop();
});

test("while Postgres does not answer, a logout holds, a login works, and sessions of others are closed", async () => {
  const [other, unreachable] = [
    await startConsole(own.env),
    await startConsole({ ...own.env, DATABASE_URL: "postgres://nobody:nothing@127.0.0.1:9/none" }),
  ];
  const foreign = await other.logIn();
  expect(await isOpen(unreachable, foreign)).toBe(false);
  const cookie = await unreachable.logIn();
  expect(await isOpen(unreachable, cookie)).toBe(true);
  expect((await unreachable.post("/logout", {}, { cookie })).status).toBe(303);
  expect(await isOpen(unreachable, cookie)).toBe(false);
  await Promise.all([other.stop(), unreachable.stop()]);
});

test("a logout that Postgres could not store is stored when it answers again", async () => {
  const url = own.env["DATABASE_URL"]!;
  const forwarder = await startForwarder(url);
  forwarder.leadNowhere();
  const app = await startConsole({ ...own.env, DATABASE_URL: forwarder.through(url) });
  const cookie = await app.logIn();
  expect((await app.post("/logout", {}, { cookie })).status).toBe(303);
  forwarder.leadTo(url);
  const id = cookie.split("=")[1]!.split(".")[0]!;
  await withClient(url, (client) =>
    waitFor("the ended session is stored", async () => {
      const { rowCount } = await client.query("select from revoked_console_sessions where id = $1", [id]);
      return rowCount === 1;
    }),
  );
  await app.stop();
  await forwarder.close();
  const restarted = await startConsole(own.env);
  expect(await isOpen(restarted, cookie)).toBe(false);
  await restarted.stop();
});

test("a logout that Postgres could not store is stored before the console stops", async () => {
  const url = own.env["DATABASE_URL"]!;
  const forwarder = await startForwarder(url);
  forwarder.leadNowhere();
  const app = await startConsole({ ...own.env, DATABASE_URL: forwarder.through(url) });
  const cookie = await app.logIn();
  await app.post("/logout", {}, { cookie });
  forwarder.leadTo(url);
  await app.stop();
  await forwarder.close();
  const restarted = await startConsole(own.env);
  expect(await isOpen(restarted, cookie)).toBe(false);
  await restarted.stop();
});

test("while Postgres does not answer, sessions that a console has seen valid stay so, and ended ones do not", async () => {
  const url = own.env["DATABASE_URL"]!;
  const forwarder = await startForwarder(url);
  const other = await startConsole(own.env);
  const cookies = [await other.logIn(), await other.logIn(), await other.logIn()] as const;
  const [seen, ended, unseen] = cookies;
  const app = await startConsole({ ...own.env, DATABASE_URL: forwarder.through(url) });
  expect([await isOpen(app, seen), await isOpen(app, ended)]).toEqual([true, true]);
  await other.post("/logout", {}, { cookie: ended });
  expect(await isOpen(app, ended)).toBe(false);
  forwarder.silence();
  forwarder.leadNowhere();
  expect(await Promise.all(cookies.map((cookie) => isOpen(app, cookie)))).toEqual([true, false, false]);
  expect(await isOpen(other, unseen)).toBe(true);
  // Before the console, which would wait for its statements.
  await forwarder.close();
  await Promise.all([app.stop(), other.stop()]);
});

test("entries of sessions that have expired are deleted, and one session makes one entry", async () => {
  const app = await startConsole(own.env);
  await withClient(own.env["DATABASE_URL"]!, async (client) => {
    await client.query("truncate revoked_console_sessions");
    await client.query("insert into revoked_console_sessions values ('old', now() - interval '2 hours')");
    const cookie = await app.logIn();
    for (let n = 0; n < 3; n += 1) await app.post("/logout", {}, { cookie });
    await app.post("/logout", {}, { cookie: "postrider_console=forged.9999999999999.forged" });
    const { rows } = await client.query<{ id: string; isAhead: boolean }>(
      `select id, expires_at between now() + interval '11 hours' and now() + interval '13 hours' as "isAhead"
       from revoked_console_sessions`,
    );
    expect(rows).toEqual([{ id: cookie.split("=")[1]!.split(".")[0], isAhead: true }]);
  });
  await app.stop();
});
