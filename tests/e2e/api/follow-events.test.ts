import { expect, test } from "vitest";
import { newTenant, orders } from "@postrider/testkit/factories/events.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { patience, waitFor } from "@postrider/testkit/wait.ts";
import { isFullLongRun } from "@postrider/testkit/long-run.ts";
import { withClient } from "../../../scripts/services/index.ts";
import { callsTo, expectProblem } from "./problems.ts";

const e2e = useStack({ workers: 0 });
const { call } = callsTo(e2e);
const query = (sql: string) => withClient(e2e.stack.databaseUrl, (client) => client.query(sql));

const ids = (page: { data: { id: string }[] }) => page.data.map(({ id }) => id);

/** From now on, inserting an event of the type "slow" takes so long. */
const makeSlow = (seconds: number) =>
  query(`
    create or replace function wait() returns trigger language plpgsql as $$
    begin perform pg_sleep(${seconds}); return new; end $$;
    create or replace trigger wait before insert on events for each row when (new.type = 'slow') execute function wait()`);

const EVENTS = isFullLongRun ? 20_000 : 2_000;
const CONNECTIONS = 64;
const SLOW_SECONDS = isFullLongRun ? 10 : 4;

/** Reads events after a cursor until it has seen `count()`. Returns their ids in the order seen, and the last cursor. */
async function follow(tenant: string, after: string, isDone: (seen: readonly string[]) => boolean) {
  const seen: string[] = [];
  let cursor = after;
  const deadline = performance.now() + patience(120_000);
  while (!isDone(seen)) {
    if (performance.now() > deadline) throw new Error(`only ${seen.length} events were seen`);
    const { data, nextCursor } = await e2e.api.events({ tenant, after: cursor, limit: 200 });
    seen.push(...data.map(({ id }) => id));
    cursor = nextCursor!;
  }
  return { seen, cursor };
}

test("a follower sees every event exactly once, while some are committed seconds after later ones", async () => {
  const tenant = newTenant();
  await makeSlow(SLOW_SECONDS);
  const posted: string[] = [];
  let sent = 0;
  let lastSlowAt = performance.now();
  const post = async () => {
    while (sent < EVENTS) {
      sent += 1;
      const isSlow = performance.now() - lastSlowAt > 500;
      if (isSlow) lastSlowAt = performance.now();
      const answer = await e2e.api.send({ type: isSlow ? "slow" : "order.created", data: sent, tenant });
      posted.push(answer.id);
    }
  };
  const posting = Promise.all(Array.from({ length: CONNECTIONS }, post));
  let isPosted = false;
  void posting.then(() => (isPosted = true));
  const { seen } = await follow(tenant, "", (ids) => isPosted && ids.length >= posted.length);
  await posting;
  expect(posted).toHaveLength(EVENTS);
  expect(new Set(seen)).toEqual(new Set(posted));
  expect(seen).toHaveLength(EVENTS);
  expect(seen).toEqual(seen.toSorted());
});

test("an event that is not committed yet holds back the events after it, and only until it is", async () => {
  const tenant = newTenant();
  await makeSlow(6);
  const before = await e2e.api.send({ type: "before", data: 1, tenant });
  const slow = e2e.api.send({ type: "slow", data: 1, tenant });
  await waitFor("its statement sleeps", async () => {
    const sleeping = await query(
      "select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
    );
    return sleeping.rowCount === 1;
  });
  const later = await e2e.api.send({ type: "later", data: 1, tenant });
  expect(ids(await e2e.api.events({ tenant }))).toEqual([later.id, before.id]);
  // Long enough that only the open transaction holds it back.
  await query("select pg_sleep(2.5)");
  const page = await e2e.api.events({ tenant, after: "" });
  expect(ids(page)).not.toContain(later.id);
  const { seen } = await follow(tenant, page.nextCursor!, (found) => page.data.length + found.length >= 3);
  expect([...ids(page), ...seen]).toEqual([before.id, (await slow).id, later.id]);
});

test("a page after a cursor filters, ends at `until`, and goes on where nothing was found", async () => {
  const tenant = newTenant();
  const [first, second, third] = await e2e.api.sendBatch(orders(3, tenant));
  await e2e.api.send({ type: "other", data: 1, tenant });
  const { seen, cursor } = await follow(tenant, first!.id, (ids) => ids.length === 3);
  expect(seen.slice(0, 2)).toEqual([second!.id, third!.id]);
  expect((await e2e.api.events({ tenant, after: cursor })).data).toEqual([]);
  expect((await e2e.api.events({ tenant, after: "", type: "other" })).data).toHaveLength(1);
  const until = new Date(Date.parse(first!.createdAt) - 1).toISOString();
  expect(await e2e.api.events({ tenant, after: "", until })).toEqual({ data: [], nextCursor: null });
  for (const asked of [`after=x`, `after=${first!.id}&cursor=${first!.id}`, `after=${first!.id}&order=desc`]) {
    expectProblem(await call("GET", `/v1/events?${asked}`), 400);
  }
});
