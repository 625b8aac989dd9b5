import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { retryDelivery } from "@postrider/shared/runtime/retry-delivery.ts";
import { dispatchJob } from "@postrider/shared/queue/jobs.ts";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import { type Receiver, startReceiver } from "@postrider/testkit/receiver/receiver.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { splitPoisonBatch } from "../../apps/worker/src/deliver/poison.ts";
import { startDispatchLane } from "../../apps/worker/src/lanes/dispatch-lane.ts";
import { whileLanesRun } from "./run-lanes.ts";

let world: World;
let receiver: Receiver;
beforeAll(async () => {
  world = await createTestWorld({ LOCK_DURATION: "1s", STALLED_INTERVAL: "200ms" });
  receiver = await startReceiver();
});
afterAll(async () => {
  await world.close();
  await receiver.close();
});
beforeEach(() => world.empty());

const dispatch = () => world.context.queues.dispatch.addBulk(world.batches.map(dispatchJob));

const settled = () =>
  waitFor("every delivery is settled", async () => (await world.rows()).every(({ settled_at }) => settled_at !== null));

test("a damaged secret dead-letters only the deliveries of its own subscription, as internal", async () => {
  const endpoint = receiver.endpoint(answer(200));
  await world.subscribe({ url: endpoint.url });
  const broken = await world.subscribe({ url: endpoint.url });
  await world.context.pool.query(
    `update subscriptions set secrets = jsonb_set(secrets, '{0,sealed}', '"x"') where id = $1`,
    [broken],
  );
  await world.accept(...Array.from({ length: 10 }, () => ({})));
  await dispatch();
  await whileLanesRun(world.context, async () => void (await settled()));
  const rows = await world.rows();
  expect(rows.filter(({ state }) => state === "delivered")).toHaveLength(10);
  const dead = rows.filter(({ state }) => state === "dead");
  expect(dead).toHaveLength(10);
  expect(dead[0]).toMatchObject({
    dead_reason: "internal",
    attempt_count: 0,
    last_error: expect.stringContaining("internal:"),
  });
  expect(endpoint.requests).toHaveLength(10);
});

test("a delivery whose event is missing is dead-lettered as internal, and the rest of its batch is delivered", async () => {
  const endpoint = receiver.endpoint(answer(200));
  await world.subscribe({ url: endpoint.url });
  await world.accept({}, {}, {});
  await world.context.pool.query("delete from events where id = (select id from events order by id limit 1)");
  await dispatch();
  await whileLanesRun(world.context, async () => void (await settled()));
  expect((await world.rows()).map(({ state }) => state).sort()).toEqual(["dead", "delivered", "delivered"]);
});

test("an internal dead letter can be retried after the fix", async () => {
  const endpoint = receiver.endpoint(answer(200));
  const subscription = await world.subscribe({ url: endpoint.url });
  const { pool } = world.context;
  const { rows } = await pool.query<{ secrets: unknown }>("select secrets from subscriptions where id = $1", [
    subscription,
  ]);
  await pool.query("update subscriptions set secrets = '[]' where id = $1", [subscription]);
  await world.accept({});
  await dispatch();
  await whileLanesRun(world.context, async () => {
    await settled();
    await pool.query("update subscriptions set secrets = $2 where id = $1", [
      subscription,
      JSON.stringify(rows[0]!.secrets),
    ]);
    const [dead] = await world.rows();
    expect(dead).toMatchObject({ state: "dead", dead_reason: "internal" });
    await retryDelivery(world.context, dead!.id);
    await waitFor("it is delivered", async () => (await world.rows())[0]!.state === "delivered");
  });
});

test("a batch that hangs loses its lock, and another worker delivers it", async () => {
  const endpoint = receiver.endpoint(answer(200));
  await world.subscribe({ url: endpoint.url });
  await world.accept({}, {});
  await dispatch();
  let unhang = (): void => undefined;
  const hung = new Promise<boolean>((resolve) => (unhang = () => resolve(false)));
  const recorder = { ...world.context.recorder, record: () => hung };
  const hanging = startDispatchLane({ ...world.context, recorder }, { deadlineMs: 100, graceMs: 100 });
  await endpoint.untilRequests(2);
  // It fetches nothing more, so that the other lane takes the batch over; its hanging requests stay open.
  const stopped = hanging.stop();
  const healthy = startDispatchLane(world.context);
  try {
    await settled();
    expect((await world.rows()).map(({ state }) => state)).toEqual(["delivered", "delivered"]);
  } finally {
    unhang();
    await Promise.all([stopped, healthy.stop()]);
  }
});

test("the only worker runs a batch again after it hung once", async () => {
  const endpoint = receiver.endpoint(answer(200));
  await world.subscribe({ url: endpoint.url });
  await world.accept({});
  await dispatch();
  let unhang = (): void => undefined;
  const hung = new Promise<boolean>((resolve) => (unhang = () => resolve(false)));
  let hangs = true;
  const { recorder } = world.context;
  const record: typeof recorder.record = (outcome) => {
    if (!hangs) return recorder.record(outcome);
    hangs = false;
    return hung;
  };
  const lane = startDispatchLane(
    { ...world.context, recorder: { ...recorder, record } },
    { deadlineMs: 100, graceMs: 100 },
  );
  try {
    await settled();
    expect((await world.rows()).map(({ state }) => state)).toEqual(["delivered"]);
  } finally {
    unhang();
    await lane.stop();
  }
});

test("a batch that kills its workers is split into single deliveries, each with a job of its own", async () => {
  await world.subscribe();
  await world.accept({}, {}, {});
  const [batch] = world.batches;
  await splitPoisonBatch(world.context, batch!);
  const ids = (await world.rows()).map(({ batch_id }) => batch_id!);
  expect(new Set(ids).size).toBe(3);
  expect(ids).not.toContain(batch!.id);
  for (const id of ids) expect(await world.context.queues.dispatch.getJobState(id)).toBe("waiting");
});
