import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { recordAttempts } from "@postrider/shared/store/sql/record-attempts.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";

let world: World;
beforeAll(async () => {
  world = await createTestWorld();
  // Fails the statement for one event or attempt, as a bug, a damaged page or an unknown limit would.
  await world.context.pool.query(`
    create function fail_by_name() returns trigger language plpgsql as $$
    declare
      name text := coalesce(to_jsonb(new) ->> 'type', to_jsonb(new) ->> 'response_body');
    begin
      if name ~ '^fails\\.' then raise exception using errcode = split_part(name, '.', 2), message = 'made to fail'; end if;
      return new;
    end $$;
    create trigger fail before insert on events for each row execute function fail_by_name();
    create trigger fail before insert on attempts for each row execute function fail_by_name()`);
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.context.pool.query("truncate events, deliveries, attempts, idempotency_keys");
});

const count = async (table: string) =>
  Number((await world.context.pool.query<{ count: string }>(`select count(*) from ${table}`)).rows[0]!.count);

/** Cardinality, data, constraint, a right, a name, a limit, an internal error, damaged data, and a code of nobody. */
const STATES = ["21000", "22021", "23505", "42501", "42703", "54000", "XX000", "XX001", "ZZ999"];

test.each(STATES)("an event that fails with SQLSTATE %s fails alone, wherever it is in the flush", async (state) => {
  const others = (n: number) => Array.from({ length: n }, () => world.accept({}));
  const results = await Promise.allSettled([
    ...others(3),
    world.accept({ type: `fails.${state}` }),
    ...others(20),
    world.accept({ type: `fails.${state}` }),
    ...others(3),
  ]);
  const failed = results.flatMap((result, index) => (result.status === "rejected" ? [index] : []));
  expect(failed).toEqual([3, 24]);
  expect(await count("events")).toBe(26);
});

test("an event that the driver cannot serialise fails alone", async () => {
  const toPostgres = () => {
    throw new Error("not a text");
  };
  const tenant = { toPostgres } as unknown as string;
  const results = await Promise.allSettled([world.accept({}), world.accept({ tenant }), world.accept({})]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(await count("events")).toBe(2);
  await Promise.all(Array.from({ length: 30 }, () => world.accept({})));
  expect(await count("events")).toBe(32);
});

test.each(["40001", "53200", "57014", "25006", "08006"])("SQLSTATE %s fails the whole flush", async (state) => {
  const query = vi.spyOn(pg.Client.prototype, "query");
  const results = await Promise.allSettled([
    world.accept({}),
    world.accept({ type: `fails.${state}` }),
    world.accept({}),
  ]);
  const statements = query.mock.calls.map(([config]) => config as unknown as pg.QueryConfig<unknown[][]>);
  query.mockRestore();
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
  // Never halved. After a conflict the same statement is repeated.
  const sizes = statements.filter(({ name }) => name === "accept").map(({ values }) => values![0]!.length);
  expect(new Set(sizes)).toEqual(new Set([3]));
  expect(await count("events")).toBe(0);
});

test("isolating an event opens no new connections", async () => {
  await Promise.all(Array.from({ length: 10 }, () => world.accept({})));
  let opened = 0;
  const onConnect = () => (opened += 1);
  world.context.pool.on("connect", onConnect);
  const bad = Array.from({ length: 5 }, () => world.accept({ type: "fails.22021" }));
  await Promise.allSettled([...bad, ...Array.from({ length: 59 }, () => world.accept({}))]);
  world.context.pool.off("connect", onConnect);
  expect(await count("events")).toBe(69);
  expect(opened).toBe(0);
});

test("an attempt whose record fails for an unknown reason keeps no other from being recorded", async () => {
  await world.subscribe();
  await world.accept(...Array.from({ length: 12 }, () => ({})));
  const loaded = await world.load();
  const recordOf = (delivery: (typeof loaded)[number], responseBody: string) => ({
    delivery,
    transition: { state: "delivered" } as const,
    attempt: {
      id: delivery.id,
      trigger: "auto" as const,
      startedAt: new Date(),
      durationMs: 1,
      responseStatus: 200,
      responseBody,
      error: null,
    },
    scheduleStep: 1,
    lastError: null,
  });
  const records = loaded.map((delivery, index) => recordOf(delivery, index === 5 ? "fails.XX000" : "ok"));
  await expect(recordAttempts(world.context.pool, records)).rejects.toMatchObject({ code: "XX000" });
  const recorded = records.map((record) => world.context.recorder.record(record));
  // The bad one may be tried again, or recorded with less.
  void recorded[5]!.catch(() => undefined);
  await Promise.all(recorded.filter((_, index) => index !== 5));
  const others = (await world.rows()).filter(({ id }) => id !== loaded[5]!.id);
  expect(others.map(({ state }) => state)).toEqual(Array(11).fill("delivered"));
});
