import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ManagedProcess } from "@postrider/testkit/processes/managed-process.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { MIN_ID } from "@postrider/shared/core/ids/id-range.ts";
import { recordHeartbeat, removeHeartbeat } from "@postrider/shared/runtime/fleet/roster.ts";
import type { Queryable } from "@postrider/shared/store/pool.ts";
import { rotateEncryptionKey } from "@postrider/shared/store/rotate-encryption-key.ts";
import { answerOwner, secretOwner } from "@postrider/shared/store/seal-owners.ts";
import { openHeader, sealHeaders } from "@postrider/shared/store/sealed-headers.ts";
import { createSecretBox } from "@postrider/shared/store/secret-box.ts";
import { findAnswer } from "@postrider/shared/store/sql/find-answer.ts";
import { listSealed } from "@postrider/shared/store/sql/list-sealed.ts";
import type { SealedRow } from "@postrider/shared/store/sql/replace-sealed.ts";
import { storeAnswer } from "@postrider/shared/store/sql/store-answer.ts";

const [NEWER, OLDER] = [randomBytes(32), randomBytes(32)] as const;
const EVERYTHING = 10_000;
const COUNT = 450;

let world: World;
beforeAll(async () => {
  // As after the restarts of a rotation. A process that still seals with the older key is refused.
  world = await createTestWorld({ ENCRYPTION_KEY: [NEWER, OLDER].map((key) => key.toString("base64")).join() });
});
afterEach(() => world.empty());
afterAll(() => world.close());

const oldBox = () => createSecretBox([OLDER]);
const bothKeys = () => [NEWER, OLDER];

/** Subscriptions whose headers and two secrets are sealed under the old key, and the answer of an idempotency key. */
async function seed(count: number): Promise<void> {
  const [id] = await world.subscribeMany(count);
  const rows = (await listSealed(world.context.pool, MIN_ID, EVERYTHING)).map(({ id: subscription }) => {
    const sealed = (secret: string) => oldBox().seal(Buffer.from(secret), secretOwner(subscription));
    return {
      id: subscription,
      secrets: [
        { ...sealed("new secret"), expiresAt: null },
        { ...sealed("old secret"), expiresAt: "2999-01-01T00:00:00Z" },
      ],
      headers: sealHeaders(oldBox(), subscription, { Authorization: `Bearer ${subscription}` }),
    };
  });
  await world.context.pool.query(
    `update subscriptions s set secrets = g.secrets, headers = g.headers
     from jsonb_to_recordset($1) g (id uuid, secrets jsonb, headers jsonb) where s.id = g.id`,
    [JSON.stringify(rows)],
  );
  await world.context.pool.query("update subscriptions set deleted_at = now() where id = $1", [id]);
  const answer = oldBox().seal(Buffer.from("answer"), answerOwner("default", "key"));
  await storeAnswer(world.context.pool, { tenant: "default", key: "key", hash: randomBytes(32), answer });
}

const sealedRows = () => listSealed(world.context.pool, MIN_ID, EVERYTHING);

const keysOf = ({ secrets, headers }: SealedRow) =>
  [...secrets, ...Object.values(headers)].map((value) => (typeof value === "string" ? "plain" : value.keyId));

async function keysInUse(): Promise<string[]> {
  const answer = await findAnswer(world.context.pool, "default", "key");
  const keys = [...(await sealedRows()).flatMap(keysOf), ...(answer ? [answer.answer.keyId] : [])];
  return [...new Set(keys)].sort();
}

async function expectReadable(keys: readonly Buffer[]): Promise<void> {
  const box = createSecretBox(keys);
  for (const { id, secrets, headers } of await sealedRows()) {
    const opened = secrets.map((secret) => box.open(secret, secretOwner(id)).toString());
    expect(opened).toEqual(["new secret", "old secret"]);
    expect(openHeader(box, id, "authorization", headers["Authorization"]!)).toBe(`Bearer ${id}`);
  }
  const answer = await findAnswer(world.context.pool, "default", "key");
  expect(box.open(answer!.answer, answerOwner("default", "key")).toString()).toBe("answer");
}

function start(keys: readonly Buffer[], env: Record<string, string> = {}): ManagedProcess {
  const { databaseUrl: DATABASE_URL, redisUrl: REDIS_URL } = world.settings;
  const ENCRYPTION_KEY = keys.map((key) => key.toString("base64")).join(",");
  return new ManagedProcess({
    name: "rotation",
    script: "scripts/rotate-encryption-key.ts",
    env: { DATABASE_URL, REDIS_URL, ENCRYPTION_KEY, ...env },
  });
}

async function run(keys: readonly Buffer[], env?: Record<string, string>) {
  const process = start(keys, env);
  const { code } = await process.exit;
  return { code, output: process.output() };
}

test("everything that is sealed gets sealed under the new key, also what is deleted, and a second run finds nothing", async () => {
  await seed(COUNT);
  const rotated = await run(bothKeys());
  expect(rotated).toMatchObject({ code: 0, output: expect.stringMatching(`done: ${COUNT + 1} rows`) as string });
  expect(await keysInUse()).toEqual([createSecretBox([NEWER]).keyId]);
  await expectReadable([NEWER]);
  expect(await run([NEWER])).toMatchObject({ code: 0, output: expect.stringMatching(/done: 0 rows/) as string });
});

test("it never says that it is done while something is under a key that it does not have", async () => {
  await seed(3);
  const { code, output } = await run([NEWER]);
  expect({ code, output }).toMatchObject({ code: 1, output: expect.stringMatching(/not finished.*opens 4 rows/s) });
  expect(output).not.toContain("done");
  await expectReadable(world.settings.encryptionKeys);
});

test("Ctrl-C ends it between two pages, and another run goes on", async () => {
  await seed(COUNT);
  const newest = (await sealedRows()).at(-1)!.id;
  const blocking = await world.context.pool.connect();
  await blocking.query("begin");
  await blocking.query("select from subscriptions where id = $1 for update", [newest]);
  const process = start(bothKeys());
  const waiting =
    "select from pg_stat_activity where application_name = 'postrider-rotate' and wait_event_type = 'Lock'";
  await waitFor("it waits for the row", async () => (await world.context.pool.query(waiting)).rowCount === 1);
  process.signal("SIGINT");
  expect(await process.exit).toEqual({ code: 130, signal: null });
  await blocking.query("rollback");
  blocking.release();
  expect(process.output()).toMatch(/interrupted/);
  expect(await keysInUse()).toHaveLength(2);
  await expectReadable(bothKeys());
  expect(await run(bothKeys())).toMatchObject({ code: 0 });
  await expectReadable([NEWER]);
});

test("it does not begin while a worker runs that does not have the new key", async () => {
  await seed(3);
  const { redis } = world.context;
  const worker = { host: "a", pid: 1, adminPort: 1, slots: 1, inFlight: 0, startedAt: 1, seenAt: Date.now() };
  await recordHeartbeat(redis, "one", { ...worker, keyIds: bothKeys().map((key) => createSecretBox([key]).keyId) });
  await recordHeartbeat(redis, "two", { ...worker, host: "b", keyIds: [oldBox().keyId] });
  const { code, output } = await run(bothKeys());
  expect({ code, output }).toMatchObject({ code: 1, output: expect.stringMatching(/1 of 2 workers \(b:1\)/) });
  expect(await keysInUse()).toEqual([oldBox().keyId]);
  await removeHeartbeat(redis, "two");
  expect(await run(bothKeys())).toMatchObject({ code: 0 });
});

test("a change while it runs is kept, and a process that seals with the old key is noticed", async () => {
  await seed(3);
  const { pool } = world.context;
  const { id } = (await sealedRows())[0]!;
  const write = (value: string) =>
    pool.query("update subscriptions set headers = $2 where id = $1", [
      id,
      sealHeaders(oldBox(), id, { Authorization: value }),
    ]);
  const rotateOn = (db: Queryable) =>
    rotateEncryptionKey({
      db,
      box: createSecretBox(bothKeys()),
      signal: new AbortController().signal,
      onProgress: () => undefined,
    });
  let last = "";
  // Before each statement, so that no page is stored as it was read.
  const query = async (text: string, values: unknown[]) => {
    last = `Bearer ${randomBytes(9).toString("hex")}`;
    await write(last);
    return pool.query(text, values);
  };
  expect(await rotateOn({ query } as unknown as Queryable)).toMatchObject({ kind: "unfinished" });
  expect(await rotateOn(pool)).toMatchObject({ kind: "done" });
  const row = (await sealedRows()).find((one) => one.id === id)!;
  expect(openHeader(createSecretBox([NEWER]), id, "Authorization", row.headers["Authorization"]!)).toBe(last);
});

test("a wrong setting is named", async () => {
  expect(await run([NEWER], { ENCRYPTION_KEY: "" })).toMatchObject({
    code: 1,
    output: expect.stringMatching(/ENCRYPTION_KEY is required/) as string,
  });
  expect(await run([NEWER, NEWER])).toMatchObject({
    code: 1,
    output: expect.stringMatching(/has a key twice/) as string,
  });
});
