import type { QueryConfig } from "pg";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { dispatchJob } from "@postrider/shared/queue/jobs.ts";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import { type Receiver, startReceiver } from "@postrider/testkit/receiver/receiver.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import type { Delivery } from "../../apps/worker/src/delivery.ts";
import { startDispatchLane } from "../../apps/worker/src/lanes/dispatch-lane.ts";
import { createRecorder } from "../../apps/worker/src/record/record-attempts.ts";

let world: World;
let receiver: Receiver;
beforeAll(async () => {
  world = await createTestWorld({ DELIVERY_TIMEOUT: "5s" });
  receiver = await startReceiver();
});
afterAll(async () => {
  await world.close();
  await receiver.close();
});
beforeEach(() => world.empty());

const query = (text: string, values?: unknown[]) => world.context.pool.query(text, values);
const dispatch = () => world.context.queues.dispatch.addBulk(world.batches.splice(0).map(dispatchJob));
const states = async () => (await world.rows()).map(({ state }) => state);

const recordOf = (delivery: Delivery, responseBody: string) => ({
  delivery,
  transition: { state: "delivered" } as const,
  attempt: {
    id: newId(),
    trigger: "auto" as const,
    startedAt: new Date(),
    durationMs: 5,
    responseStatus: 200,
    responseBody,
    error: null,
  },
  scheduleStep: 1,
  lastError: null,
});

async function loaded(count: number): Promise<Delivery[]> {
  await world.subscribe();
  await world.accept(...Array.from({ length: count }, () => ({})));
  return world.load();
}

test("a record that Postgres refuses for its text is recorded without it, alone or among others", async () => {
  const [alone, ...others] = await loaded(9);
  const { recorder } = world.context;
  expect(await recorder.record(recordOf(alone!, "\0"))).toBe(true);
  const results = await Promise.all(
    others.map((delivery, index) => recorder.record(recordOf(delivery, index % 3 === 0 ? "\0" : "fine"))),
  );
  expect(results.every(Boolean)).toBe(true);
  expect(await states()).toEqual(Array.from({ length: 9 }, () => "delivered"));
  const { rows } = await query("select response_body, count(*)::int from attempts group by 1 order by 1");
  expect(rows).toEqual([
    { response_body: "[omitted: Postgres refused it]", count: 4 },
    { response_body: "fine", count: 5 },
  ]);
});

/** Postgres refuses every change of these rows. @returns ends this */
async function damage(deliveries: readonly Delivery[]): Promise<() => Promise<unknown>> {
  await query(`create function refuse() returns trigger language plpgsql as
    $$ begin raise exception 'damaged page' using errcode = 'XX001'; end $$`);
  const ids = deliveries.map(({ id }) => `'${id}'`).join(", ");
  await query(`create trigger refuse before update on deliveries for each row when (old.id in (${ids}))
    execute function refuse()`);
  return () => query("drop function refuse() cascade");
}

test("many rows that take no change stop the others only for a while", async () => {
  const deliveries = await loaded(14);
  const [broken, others] = [deliveries.slice(0, 12), deliveries.slice(12)];
  const mend = await damage(broken);
  const { recorder } = world.context;
  const stuck = broken.map((delivery) => recorder.record(recordOf(delivery, "fine")));
  try {
    await waitFor("nothing is sent", () => recorder.outage.isUnderWay);
    expect(await recorder.record(recordOf(others[0]!, "fine"))).toBe(true);
    await waitFor("others are sent again", () => !recorder.outage.isUnderWay);
    expect(await recorder.record(recordOf(others[1]!, "fine"))).toBe(true);
    expect(recorder.waiting).toBe(12);
  } finally {
    await mend();
  }
  expect(await Promise.all(stuck)).toEqual(broken.map(() => true));
});

test("a delivery whose outcome waits to be recorded is not sent again", async () => {
  const endpoint = receiver.endpoint(answer(200));
  await world.subscribe({ url: endpoint.url });
  await world.accept({});
  const [delivery] = await world.load();
  const mend = await damage([delivery!]);
  const { recorder } = world.context;
  const stuck = recorder.record(recordOf(delivery!, "fine"));
  const lane = startDispatchLane(world.context);
  try {
    await dispatch();
    try {
      const job = () => world.context.queues.dispatch.getDelayedCount();
      await waitFor("its job is postponed", async () => (await job()) === 1);
      expect(endpoint.requests).toHaveLength(0);
    } finally {
      await mend();
    }
    expect(await stuck).toBe(true);
    await waitFor("its job ends", async () => (await world.context.queues.dispatch.count()) === 0);
  } finally {
    await lane.stop();
  }
  expect(endpoint.requests).toHaveLength(0);
});

test("a delivery whose row takes no change waits, and does not block the others", async () => {
  const [broken, ...others] = await loaded(4);
  const mend = await damage([broken!]);
  const { recorder } = world.context;
  const stuck = recorder.record(recordOf(broken!, "fine"));
  try {
    const rest = others.map((delivery) => recorder.record(recordOf(delivery, "fine")));
    expect(await Promise.all(rest)).toEqual([true, true, true]);
    expect(recorder.outage.isUnderWay).toBe(false);
    expect(recorder.waiting).toBe(1);
  } finally {
    await mend();
  }
  expect(await stuck).toBe(true);
});

test("a row that another transaction has locked waits, and does not block the others", async () => {
  const deliveries = await loaded(20);
  const { recorder, pool } = world.context;
  const locker = await pool.connect();
  try {
    await locker.query("begin");
    await locker.query("select from deliveries where id = $1 for update", [deliveries[7]!.id]);
    const records = deliveries.map((delivery) => recorder.record(recordOf(delivery, "fine")));
    const locked = records.splice(7, 1)[0]!;
    expect(await Promise.all(records)).toEqual(records.map(() => true));
    expect(recorder.waiting).toBe(1);
    await locker.query("commit");
    expect(await locked).toBe(true);
  } finally {
    await locker.query("rollback");
    locker.release();
  }
});

test("a commit whose answer was lost is not taken for another worker's", async () => {
  const deliveries = await loaded(3);
  const { pool } = world.context;
  let isLost = false;
  const losing = new Proxy(pool, {
    get(target, name) {
      if (name !== "query") return Reflect.get(target, name) as unknown;
      return async (config: QueryConfig, values?: unknown[]) => {
        const result = await pool.query(config, values);
        if (isLost) return result;
        isLost = true;
        throw new Error("Connection terminated unexpectedly");
      };
    },
  });
  const recorder = createRecorder(losing, world.context.log);
  const retried = recorder.record({
    ...recordOf(deliveries[0]!, "fine"),
    transition: { state: "retrying", delayMs: 60_000 },
  });
  const delivered = recorder.record(recordOf(deliveries[1]!, "fine"));
  expect(await Promise.all([retried, delivered])).toEqual([true, true]);
  // What another worker has recorded is still superseded.
  expect(await recorder.record(recordOf(deliveries[0]!, "late"))).toBe(true);
  expect(
    await recorder.record({ ...recordOf(deliveries[1]!, "late"), transition: { state: "retrying", delayMs: 1 } }),
  ).toBe(false);
});

test("the log names the SQLSTATE and how many wait, and a worker that stops gives up after one more try", async () => {
  const [first, second] = await loaded(2);
  const lines: unknown[] = [];
  const log = createLogger("worker", "info", { write: (line: string) => void lines.push(JSON.parse(line)) });
  const recorder = createRecorder(world.context.pool, log);
  await query("alter table attempts rename column duration_ms to took_ms");
  try {
    const waiting = [recorder.record(recordOf(first!, "fine")), recorder.record(recordOf(second!, "fine"))];
    const ended = Promise.allSettled(waiting);
    await waitFor("the recorder waits", () => recorder.outage.isUnderWay);
    expect(lines).toMatchObject([{ level: "error", sqlState: "42703", waiting: 2 }]);
    recorder.giveUp();
    expect((await ended).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(lines.at(-1)).toMatchObject({ level: "error", records: 2 });
  } finally {
    await query("alter table attempts rename column took_ms to duration_ms");
  }
});
