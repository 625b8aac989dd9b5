import { afterAll, beforeAll, expect, test } from "vitest";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { migrate } from "@postrider/shared/store/migrate.ts";
import { createPool, STEADY_PLANS, type Pool } from "@postrider/shared/store/pool.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { createAcceptor } from "../../apps/ingest/src/events/accept.ts";
import { createRecorder } from "../../apps/worker/src/record/record-attempts.ts";

/** What an operator or a provider may have set, and what our sessions need instead. */
const SETTINGS: [name: string, theirs: string, ours: string][] = [
  ["DateStyle", "SQL, DMY", "ISO, MDY"],
  ["IntervalStyle", "sql_standard", "postgres"],
  ["TimeZone", "Asia/Kolkata", "UTC"],
  ["bytea_output", "escape", "hex"],
  ["extra_float_digits", "-15", "1"],
  ["array_nulls", "off", "on"],
  ["standard_conforming_strings", "off", "on"],
  ["transform_null_equals", "on", "off"],
  ["default_transaction_isolation", "serializable", "read committed"],
  ["default_transaction_deferrable", "on", "off"],
  ["jit", "on", "off"],
];

const log = createLogger("test", "silent");
let world: World;
let pool: Pool;
beforeAll(async () => {
  world = await createTestWorld();
  const { rows } = await world.context.pool.query<{ db: string; me: string }>(
    "select quote_ident(current_database()) as db, quote_ident(current_user) as me",
  );
  const { db, me } = rows[0]!;
  // Of the two ways, the second one precedes the first.
  for (const [index, [name, theirs]] of SETTINGS.entries()) {
    const target = index % 2 === 0 ? `database ${db}` : `role ${me} in database ${db}`;
    await world.context.pool.query(`alter ${target} set ${name} = ${name === "DateStyle" ? theirs : `'${theirs}'`}`);
  }
  pool = createPool(world.settings.databaseUrl, "test", 3, log);
});
afterAll(async () => {
  await pool.end();
  await world.close();
});

const settingsOf = async (of: Pool) => {
  const { rows } = await of.query<{ name: string; value: string }>(
    "select name, current_setting(name) as value from pg_settings where name = any ($1)",
    [[...SETTINGS.map(([name]) => name), "enable_seqscan", "work_mem"]],
  );
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
};
const ours = Object.fromEntries(SETTINGS.map(([name, , value]) => [name, value]));

test("every connection has our settings, whatever the database or the role has", async () => {
  expect(await settingsOf(pool)).toMatchObject(ours);
});

test("the options of the URL and of a process hold too", async () => {
  const url = new URL(world.settings.databaseUrl);
  url.searchParams.set("options", "-c work_mem=7MB -c TimeZone=Asia/Kolkata");
  const other = createPool(url.href, "test", 1, log, STEADY_PLANS);
  expect(await settingsOf(other)).toMatchObject({ ...ours, work_mem: "7MB", enable_seqscan: "off" });
  await other.end();
});

test("events are accepted and recorded under such settings, and a migration runs", async () => {
  await migrate(world.settings.databaseUrl);
  const subscription = await world.subscribe();
  const acceptor = createAcceptor(pool, () => undefined);
  const event = { tenant: "default", type: "order.created", data: Buffer.from("1"), idempotencyKey: undefined };
  // Under serializable isolation some of these would fail, and without array_nulls all would have the key "NULL".
  const accepted = await Promise.all(Array.from({ length: 50 }, () => acceptor.accept([event])));
  expect(accepted.flat().every((one) => one.kind === "accepted" && !one.duplicate)).toBe(true);
  const [delivery] = await world.load();
  await createRecorder(pool, log).record({
    delivery: delivery!,
    transition: { state: "retrying", delayMs: 60_000 },
    attempt: undefined,
    scheduleStep: 1,
    lastError: null,
  });
  const { rows } = await pool.query<{ next: Date; key: string | null }>(
    `select next_attempt_at as next, (select key from idempotency_keys limit 1) as key
     from deliveries where state = 'retrying' and subscription_id = $1`,
    [subscription],
  );
  expect(rows).toEqual([{ next: expect.any(Date), key: null }]);
  expect(Math.abs(rows[0]!.next.getTime() - Date.now())).toBeLessThan(3_600_000);
});
