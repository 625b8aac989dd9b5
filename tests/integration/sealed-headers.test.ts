import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { recordHeartbeat, removeHeartbeat, type WorkerSeen } from "@postrider/shared/runtime/fleet/roster.ts";
import type { StoredHeaders } from "@postrider/shared/store/schema/index.ts";
import { SCHEMA_VERSION, SEALED_HEADERS } from "@postrider/shared/store/schema-range.ts";
import { sealHeaders } from "@postrider/shared/store/sealed-headers.ts";
import { createHeaderSealing } from "../../apps/worker/src/upkeep/seal-headers.ts";

let world: World;
beforeAll(async () => {
  world = await createTestWorld();
});
beforeEach(async () => {
  await world.empty();
  await world.context.pool.query(`update schema_versions set serves = 2 where version >= ${SEALED_HEADERS}`);
});
afterAll(() => world.close());

const PLAIN = { Authorization: "Bearer s3cret", "x-team": "å b" };

async function subscribe(headers: StoredHeaders): Promise<string> {
  const id = await world.subscribe();
  await store(id, headers);
  return id;
}

const store = (id: string, headers: StoredHeaders) =>
  world.context.pool.query("update subscriptions set headers = $2 where id = $1", [id, headers]);

async function stored(id: string): Promise<StoredHeaders> {
  const { rows } = await world.context.pool.query<{ headers: StoredHeaders }>(
    "select headers from subscriptions where id = $1",
    [id],
  );
  return rows[0]!.headers;
}

async function loaded(id: string) {
  const subscribers = await world.context.loadSubscribers([id], Date.now());
  return subscribers.get(id)!.subscription;
}

const heartbeat = (id: string, schema?: number) => {
  const worker: WorkerSeen = {
    host: id,
    pid: 1,
    adminPort: 1,
    slots: 1,
    inFlight: 0,
    startedAt: 1,
    seenAt: Date.now(),
  };
  return recordHeartbeat(world.context.redis, id, schema === undefined ? worker : { ...worker, schema });
};

test("plain headers stay while an older worker runs, which could not open them, and are sealed when none is left", async () => {
  const ids = [await subscribe(PLAIN), await subscribe({ "x-other": "1" })];
  const none = await subscribe({});
  await heartbeat("older");
  await heartbeat("newer", SCHEMA_VERSION);
  const seal = createHeaderSealing(world.context, 0);
  for (let run = 0; run < 3; run += 1) expect(await seal()).toBe(0);
  expect(await stored(ids[0]!)).toEqual(PLAIN);
  expect(await loaded(ids[0]!)).toMatchObject({ headers: PLAIN });

  await removeHeartbeat(world.context.redis, "older");
  expect(await seal()).toBe(0);
  expect(await seal()).toBe(2);
  expect(JSON.stringify(await stored(ids[0]!))).not.toContain("s3cret");
  expect(await loaded(ids[0]!)).toMatchObject({ headers: PLAIN });
  expect(await stored(none)).toEqual({});
  // An older process does not start any more.
  const { rows } = await world.context.pool.query("select max(serves) as serves from schema_versions");
  expect(rows).toEqual([{ serves: SEALED_HEADERS }]);

  // A process that read before that it may not seal yet stores plain ones after.
  await store(ids[1]!, { "x-late": "1" });
  expect(await seal()).toBe(1);
});

test("nothing is sealed by a worker that has seen no roster, or only one since an older worker was there", async () => {
  const id = await subscribe(PLAIN);
  const seal = createHeaderSealing(world.context, 0);
  for (let run = 0; run < 3; run += 1) expect(await seal()).toBe(0);
  await heartbeat("newer", SCHEMA_VERSION);
  expect(await seal()).toBe(0);
  await heartbeat("older");
  expect(await seal()).toBe(0);
  await removeHeartbeat(world.context.redis, "older");
  expect(await seal()).toBe(0);
  expect(await stored(id)).toEqual(PLAIN);
  expect(await seal()).toBe(1);
});

test("nothing is sealed while an older ingest is connected, which would show what is sealed", async () => {
  const id = await subscribe(PLAIN);
  await heartbeat("newer", SCHEMA_VERSION);
  const older = new pg.Client({ connectionString: world.settings.databaseUrl, application_name: "postrider-ingest" });
  await older.connect();
  const seal = createHeaderSealing(world.context, 0);
  for (let run = 0; run < 3; run += 1) expect(await seal()).toBe(0);
  expect(await stored(id)).toEqual(PLAIN);
  await older.end();
  await waitFor("it is sealed", async () => (await seal()) === 1);
});

test("sealing leaves the revision of a subscription as it is, so outcomes under way still count for it", async () => {
  const id = await subscribe(PLAIN);
  const before = await loaded(id);
  await heartbeat("newer", SCHEMA_VERSION);
  const seal = createHeaderSealing(world.context, 0);
  await seal();
  expect(await seal()).toBe(1);
  expect(await loaded(id)).toMatchObject({ revision: (before as { revision: string }).revision });
});

test("a sealed value that was moved to another subscription or another name is not sent, even once it was opened", async () => {
  const id = await subscribe({});
  const sealed = sealHeaders(world.context.secretBox, id, PLAIN);
  await store(id, sealed);
  expect(await loaded(id)).toMatchObject({ headers: PLAIN });
  const other = await subscribe(sealed);
  expect(await loaded(other)).toEqual({ problem: expect.any(String) });
  await store(id, { "x-team": sealed["Authorization"]! });
  expect(await loaded(id)).toEqual({ problem: expect.any(String) });
});
