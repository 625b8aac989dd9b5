import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { Queue } from "bullmq";
import pg from "pg";
import { dispatchJob, retryJobId } from "@postrider/shared/queue/jobs.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { withRedis } from "@postrider/testkit/servers/redis.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { newCursor, PAGE, sweep, type Cursor, type Sweep, type SweepRun } from "../../apps/worker/src/upkeep/sweep.ts";
import { createWatchdogMemory, runOnce } from "../../apps/worker/src/upkeep/watchdog.ts";

let world: World;
beforeAll(async () => {
  // The grace for what was just committed is at most the interval.
  world = await createTestWorld({ WATCHDOG_INTERVAL: "100ms" });
});
afterAll(() => world.close());
beforeEach(() => world.empty());

/** Makes batches older than the grace: a batch id begins with its time. */
const makeOld = () =>
  world.context.pool.query(
    "update deliveries set batch_id = overlay(batch_id::text placing '00' from 1 for 2)::uuid where state = 'pending'",
  );
const batchIds = async () => [...new Set((await world.rows()).map(({ batch_id }) => batch_id!))];
const retrying = (dueSeconds: number) =>
  world.context.pool.query(
    "update deliveries set state = 'retrying', batch_id = null, next_attempt_at = now() + $1 * interval '1 second'",
    [dueSeconds],
  );

test("the watchdog dispatches batches that were committed and never reached Redis", async () => {
  await world.subscribe();
  await world.accept(...Array.from({ length: 250 }, () => ({})));
  await makeOld();
  expect(await runOnce(world.context)).toMatchObject({ leader: true, pending: { examined: 3, repaired: 3 } });
  // The third batch is beyond the tenant's first 200 deliveries, and so behind those of others.
  const states = await Promise.all((await batchIds()).map((id) => world.context.queues.dispatch.getJobState(id)));
  expect(states.toSorted()).toEqual(["prioritized", "waiting", "waiting"]);
  expect(await runOnce(world.context)).toMatchObject({ pending: { examined: 3, repaired: 0 } });
});

test("the watchdog leaves queued batches alone", async () => {
  await world.subscribe();
  await world.accept({});
  await makeOld();
  const [id] = await batchIds();
  await world.context.queues.dispatch.addBulk([dispatchJob({ ...world.batches[0]!, id: id!, size: 1 })]);
  expect(await runOnce(world.context)).toMatchObject({ pending: { examined: 1, repaired: 0 } });
  expect(await world.context.queues.dispatch.count()).toBe(1);
});

test("the watchdog finds one missing batch among 1,000 with 100,000 deliveries", async () => {
  const { pool, queues } = world.context;
  const subscription = await world.subscribe();
  await pool.query(
    `insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, batch_id)
       select delivery_id(e.id), e.id, $1, 'default', 'order.created', 'pending', batch_id('019d0000-0000-7000-8000-000000000000', n / 100)
       from generate_series(0, 99999) n,
         lateral (select overlay(overlay(gen_random_uuid()::text placing $2 from 1 for 14) placing '7' from 15 for 1)::uuid as id where n >= 0) e`,
    [subscription, (await someTime()).slice(0, 14)],
  );
  const { rows } = await pool.query<{ id: string }>("select distinct batch_id as id from deliveries");
  const ids = rows.map(({ id }) => id);
  expect(ids).toHaveLength(1_000);
  const range = { from: "00000000-0000-0000-0000-000000000000", to: "ffffffff-ffff-ffff-ffff-ffffffffffff" };
  await queues.dispatch.addBulk(ids.slice(1).map((id) => dispatchJob({ id, size: 100, ...range })));
  expect(await runOnce(world.context)).toMatchObject({ pending: { examined: 1_000, repaired: 1 } });
  expect(await queues.dispatch.count()).toBe(1_000);
});

test("after Redis was emptied the watchdog lets a neighbour's retry go before the tail of a tenant's flood again", async () => {
  await world.subscribe({ tenant: "flood" });
  await world.subscribe({ tenant: "neighbour" });
  await world.accept(...Array.from({ length: 60 }, () => ({ tenant: "flood" })), { tenant: "neighbour" });
  await retrying(-60);
  await expect.poll(async () => {
    await runOnce(world.context);
    return world.context.queues.retry.count();
  }).toBe(61); // prettier-ignore
  const jobs = await world.context.queues.retry.getJobs(["waiting", "prioritized", "delayed"]);
  const { rows } = await world.context.pool.query<{ id: string; tenant: string }>("select id, tenant from deliveries");
  const tenants = new Map(rows.map(({ id, tenant }) => [id, tenant]));
  const prioritiesOf = (tenant: string) =>
    jobs.filter(({ data }) => tenants.get(data.delivery) === tenant).map(({ priority }) => priority);
  expect(prioritiesOf("neighbour")).toEqual([0]);
  expect(prioritiesOf("flood").filter((priority) => priority > 0).length).toBeGreaterThanOrEqual(30);
});

test("the watchdog enqueues retries that are due and have no job", async () => {
  await world.subscribe();
  await world.accept({});
  await retrying(60);
  expect(await runOnce(world.context)).toMatchObject({ retrying: { examined: 0, repaired: 0 } });
  await retrying(-60);
  expect(await runOnce(world.context)).toMatchObject({ retrying: { examined: 1, repaired: 1 } });
  const [row] = await world.rows();
  expect(await world.context.queues.retry.getJobState(retryJobId(row!.id, 0))).toBe("waiting");
  expect(await runOnce(world.context)).toMatchObject({ retrying: { examined: 1, repaired: 0 } });
});

test("a run of the watchdog does not walk the queue for each of the jobs in it", async () => {
  const { pool, redis, queues } = world.context;
  const subscription = await world.subscribe();
  await pool.query(
    `insert into deliveries (id, event_id, subscription_id, tenant, event_type, state, next_attempt_at)
       select delivery_id(e.id), e.id, $1, 'default', 'order.created', 'retrying', now() - interval '1 minute'
       from generate_series(0, 19999) n,
         lateral (select overlay(overlay(gen_random_uuid()::text placing $2 from 1 for 14) placing '7' from 15 for 1)::uuid as id where n >= 0) e`,
    [subscription, (await someTime()).slice(0, 14)],
  );
  const memory = createWatchdogMemory();
  await waitFor("all retries are queued", async () => {
    await runOnce(world.context, memory);
    return (await queues.retry.count()) === 20_000;
  });
  // Most of them have a priority, since they are one tenant's; a list of all is the worst case.
  const [prioritized, waiting] = [queues.retry.toKey("prioritized"), queues.retry.toKey("wait")];
  // The context's connection gives up after a second, which is too little for so many on a busy machine.
  await withRedis(world.settings.redisUrl, async (patient) => {
    const ids = await patient.zrange(prioritized, "0", "-1");
    await patient.del(prioritized);
    await patient.lpush(waiting, ...ids);
  });
  const send = vi.spyOn(redis, "sendCommand");
  const run = await waitFor("a run over all", async () => {
    // A run that stops early, on a busy machine, is followed by another one.
    send.mockClear();
    const one = await runOnce(world.context, { ...createWatchdogMemory(), retrying: { last: undefined, walks: 1 } });
    return one.retrying.examined === 20_000 && one;
  });
  const names = send.mock.calls.map(([command]) => command.name);
  send.mockRestore();
  expect(run).toMatchObject({ retrying: { repaired: 0 } });
  // One script for each page of 500, and not one for each job.
  expect(names.length).toBeLessThan(200);
  expect(names).not.toContain("lrange");
});

test("a sweep that fails keeps no other sweep from running", async () => {
  const { queues } = world.context;
  const active = await world.subscribe();
  await world.accept({});
  await world.context.pool.query(
    "update deliveries set state = 'held', held_reason = 'trial', held_at = now(), batch_id = null",
  );
  await world.accept({});
  await makeOld();
  const add = () => Promise.reject(new Error("out of memory"));
  const dispatch = Object.create(queues.dispatch, { add: { value: add } }) as typeof queues.dispatch;
  await expect(runOnce({ ...world.context, queues: { ...queues, dispatch } })).rejects.toThrow("out of memory");
  expect(await queues.control.getJobState(active)).toBe("waiting");
});

test("a sweep that runs out of time goes on behind the last row that it examined", async () => {
  const pages: (number | undefined)[] = [];
  const rows = Array.from({ length: 1_200 }, (_, index) => index);
  const work: Sweep<number> = {
    queue: world.context.queues.dispatch as Queue,
    maxDelayMs: 0,
    findPage: (last) => {
      pages.push(last);
      return Promise.resolve(rows.slice((last ?? -1) + 1).slice(0, PAGE));
    },
    jobsOf: () => [],
    findNeeded: () => Promise.resolve([]),
  };
  const cursor: Cursor<number> = newCursor();
  const overdue: SweepRun = {
    lookUpJobs: world.context.lookUpJobs,
    deadline: performance.now(),
    stillLeading: () => Promise.resolve(),
  };
  for (let run = 0; run < 4; run += 1) await sweep(work, cursor, overdue);
  expect(pages).toEqual([undefined, 499, 999, undefined]);
});

test("the watchdog enqueues a release for an active subscription with held deliveries, and none for a paused one", async () => {
  const active = await world.subscribe();
  const paused = await world.subscribe({ status: "paused" });
  await world.accept({});
  await world.context.pool.query(
    "update deliveries set state = 'held', held_reason = 'paused', held_at = now(), batch_id = null",
  );
  expect(await runOnce(world.context)).toMatchObject({ held: { examined: 2, repaired: 1 } });
  expect(await world.context.queues.control.getJobState(active)).toBe("waiting");
  expect(await world.context.queues.control.getJobState(paused)).toBe("unknown");
});

test("only one watchdog of the fleet runs at a time", async () => {
  const other = new pg.Client({ connectionString: world.settings.databaseUrl });
  await other.connect();
  await other.query("begin");
  await other.query("select pg_advisory_xact_lock(7301003)");
  expect(await runOnce(world.context)).toMatchObject({ leader: false });
  await other.end();
  expect(await runOnce(world.context)).toMatchObject({ leader: true });
});

test("a watchdog that freezes during its run loses its leadership to another", async () => {
  await world.subscribe();
  await world.accept({});
  await makeOld();
  let thaw = (): void => undefined;
  const frozen = new Promise<never>((_resolve, reject) => (thaw = () => reject(new Error("thawed"))));
  const { queues } = world.context;
  const { promise: isLeading, resolve: reached } = Promise.withResolvers<void>();
  const freeze = () => {
    reached();
    return frozen;
  };
  const dispatch = Object.create(queues.dispatch, { add: { value: freeze } }) as typeof queues.dispatch;
  const leader = runOnce({ ...world.context, queues: { ...queues, dispatch } }, undefined, 200).catch(
    (error: Error) => error.message,
  );
  await isLeading;
  await waitFor("the other leads", async () => (await runOnce(world.context)).leader);
  const [id] = await batchIds();
  expect(await queues.dispatch.getJobState(id!)).toBe("waiting");
  thaw();
  expect(await leader).toBe("thawed");
});

async function someTime(): Promise<string> {
  const { rows } = await world.context.pool.query<{ from: string }>(
    `select (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \\(''([^'']+)'))[1] as from
     from pg_class c where c.relname = 'deliveries_' || to_char(now() at time zone 'utc', 'YYYY_MM_DD')`,
  );
  return rows[0]!.from;
}
