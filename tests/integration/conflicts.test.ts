import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createDb } from "@postrider/shared/store/pool.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { OPERATOR } from "../../apps/ingest/src/http/caller.ts";
import { updateSubscription } from "../../apps/ingest/src/subscriptions/store.ts";

let world: World;
beforeAll(async () => {
  world = await createTestWorld();
  // A sequence counts the tries, because a rollback does not undo it.
  await world.context.pool.query(`
    create sequence tries;
    create table conflicts (times int not null, state text not null);
    create function conflict() returns int language plpgsql as $$
    begin
      if nextval('tries') <= (select times from conflicts) then
        raise exception using errcode = (select state from conflicts), message = 'made to conflict';
      end if;
      return currval('tries');
    end $$;
    create function conflict_trigger() returns trigger language plpgsql as $$
      begin perform conflict(); return new; end $$;
    create trigger conflict before update on subscriptions for each row execute function conflict_trigger();
    create trigger conflict before insert on events for each row execute function conflict_trigger()`);
});
afterAll(() => world.close());

async function conflict(times: number, state = "40001"): Promise<void> {
  await world.context.pool.query("truncate conflicts");
  await world.context.pool.query("alter sequence tries restart");
  await world.context.pool.query("insert into conflicts values ($1, $2)", [times, state]);
}
const tries = async () =>
  (await world.context.pool.query<{ tries: number }>("select last_value::int as tries from tries")).rows[0]!.tries;
beforeEach(() => conflict(0));

test.each(["40001", "40P01"])("a statement that Postgres rolled back with %s is repeated", async (state) => {
  await conflict(3, state);
  const { rows } = await world.context.pool.query("select conflict() as tries");
  expect(rows).toEqual([{ tries: 4 }]);
});

test("a statement that always conflicts fails after five tries", async () => {
  await conflict(1_000);
  await expect(world.context.pool.query("select conflict()")).rejects.toMatchObject({ code: "40001" });
  expect(await tries()).toBe(5);
});

test("another error is not repeated", async () => {
  await conflict(1_000, "23505");
  await expect(world.context.pool.query("select conflict()")).rejects.toMatchObject({ code: "23505" });
  expect(await tries()).toBe(1);
});

test("an event whose flush conflicted is accepted once", async () => {
  await conflict(2);
  expect(await world.accept({ idempotencyKey: "k" })).toMatchObject([{ kind: "accepted", duplicate: false }]);
  const { rows } = await world.context.pool.query("select count(*)::int as events from events");
  expect(rows).toEqual([{ events: 1 }]);
});

test("a transaction that conflicted is repeated as a whole", async () => {
  const id = await world.subscribe();
  await conflict(2, "40P01");
  let changes = 0;
  const changed = await updateSubscription(createDb(world.context.pool), OPERATOR, id, () => {
    changes += 1;
    return { description: `change ${changes}` };
  });
  expect(changed.description).toBe("change 3");
});

test("a statement that loses a deadlock is repeated, and both finish", async () => {
  const ids = [await world.subscribe(), await world.subscribe()].sort();
  const { pool } = world.context;
  const other = await pool.connect();
  try {
    // The other one waits for longer, so that it wins.
    await other.query("begin; set local deadlock_timeout = '1min'");
    await other.query("update subscriptions set description = 'other' where id = $1", [ids[1]]);
    const ours = pool.query(
      `with first as (update subscriptions set max_in_flight = 7 where id = $1 returning id)
       update subscriptions set max_in_flight = 7 where id = $2 and exists (select from first)`,
      ids,
    );
    await waitFor("our statement waits for the other one", async () => {
      const { rows } = await pool.query<{ waits: boolean }>(
        "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock') as waits",
      );
      return rows[0]!.waits;
    });
    await other.query("update subscriptions set description = 'other' where id = $1", [ids[0]]);
    await other.query("commit");
    await ours;
    const { rows } = await pool.query(
      "select distinct max_in_flight as max, description from subscriptions where id = any ($1)",
      [ids],
    );
    expect(rows).toEqual([{ max: 7, description: "other" }]);
  } finally {
    other.release();
  }
});
