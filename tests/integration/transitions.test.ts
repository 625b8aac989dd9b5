import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DELIVERY_STATES, type DeliveryState } from "@postrider/shared/core/delivery/states.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { moveEach, moveTo } from "@postrider/shared/store/transitions.ts";
import type { TestDatabase } from "@postrider/testkit/servers/database.ts";
import { createTestDatabase } from "@postrider/testkit/vitest.ts";

let database: TestDatabase;
let client: pg.Client;
beforeAll(async () => {
  database = await createTestDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

/** A SET list for each state. */
const MOVES: Record<DeliveryState, string> = {
  pending: moveTo("pending", { batch_id: "gen_random_uuid()" }),
  retrying: moveTo("retrying", { next_attempt_at: "now()" }),
  held: moveTo("held", { held_reason: "'paused'", held_at: "now()" }),
  delivered: moveTo("delivered", {}),
  dead: moveTo("dead", { dead_reason: "'expired'" }),
  cancelled: moveTo("cancelled", {}),
};

/** Inserts a delivery in this state, and returns its id. */
async function deliveryIn(state: DeliveryState): Promise<string> {
  const id = newId();
  await client.query(
    `insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, batch_id)
     values ($1, $1, $1, 'default', 'order.created', 'pending', $1)`,
    [id],
  );
  await client.query(`update deliveries d set ${MOVES[state]} where d.id = $1`, [id]);
  return id;
}

const stateOf = async (id: string) =>
  (await client.query<{ state: string }>("select state from deliveries where id = $1", [id])).rows[0]!.state;

const pairs = DELIVERY_STATES.flatMap((from) => DELIVERY_STATES.map((to) => [from, to] as const));

test.each(pairs)("a row moves from %s to %s and satisfies every constraint", async (from, to) => {
  const id = await deliveryIn(from);
  await client.query(`update deliveries d set ${MOVES[to]} where d.id = $1`, [id]);
  expect(await stateOf(id)).toBe(to);
});

const REASONS: Partial<Record<DeliveryState, string>> = { held: "breaker", dead: "exhausted" };

test.each(pairs.filter(([, to]) => to !== "pending"))(
  "a row moves from %s to %s by its own input and satisfies every constraint",
  async (from, to) => {
    const id = await deliveryIn(from);
    await client.query(
      `update deliveries d set ${moveEach({ state: "i.state", reason: "i.reason", delayMs: "i.delay_ms" })}
       from (select $2::text as state, $3::text as reason, $4::float8 as delay_ms) i where d.id = $1`,
      [id, to, REASONS[to] ?? null, to === "retrying" ? 2_000 : null],
    );
    expect(await stateOf(id)).toBe(to);
  },
);

test("every column that a constraint ties to a state is named by a move", async () => {
  const { rows } = await client.query<{ name: string }>(`
    select distinct a.attname as name from pg_constraint c, unnest(c.conkey) as key (number)
    join pg_attribute a on a.attnum = key.number and a.attrelid = 'deliveries'::regclass
    where c.conrelid = 'deliveries'::regclass and c.contype = 'c'
      and (select attnum from pg_attribute where attrelid = c.conrelid and attname = 'state') = any (c.conkey)`);
  const named = [...MOVES.delivered.matchAll(/(\w+) = /g)].map(([, column]) => column!);
  expect(rows.map(({ name }) => name).sort()).toEqual(named.sort());
});
