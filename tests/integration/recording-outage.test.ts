import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { dispatchJob, retryJob } from "@postrider/shared/queue/jobs.ts";
import { answer, gate } from "@postrider/testkit/receiver/behaviours.ts";
import { type Receiver, startReceiver } from "@postrider/testkit/receiver/receiver.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { startControlLane } from "../../apps/worker/src/lanes/control-lane.ts";
import { startDispatchLane } from "../../apps/worker/src/lanes/dispatch-lane.ts";
import { startRetryLane } from "../../apps/worker/src/lanes/retry-lane.ts";

let world: World;
let receiver: Receiver;
beforeAll(async () => {
  world = await createTestWorld({ LOCK_DURATION: "1s", STALLED_INTERVAL: "200ms", DELIVERY_TIMEOUT: "5s" });
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

type Limits = Parameters<typeof startDispatchLane>[1];

async function whileLanesRun(work: () => Promise<void>, limits?: Limits): Promise<void> {
  const { context } = world;
  const lanes = [startDispatchLane(context, limits), startRetryLane(context), startControlLane(context)];
  try {
    await work();
  } finally {
    await Promise.all(lanes.map((lane) => lane.stop()));
  }
}

/** Each of them fails a statement with an error that is neither an outage nor the fault of a row. */
const refusals = [
  {
    name: "a renamed column",
    begin: () => query("alter table attempts rename column duration_ms to took_ms"),
    end: () => query("alter table attempts rename column took_ms to duration_ms"),
  },
  {
    name: "a missing relation",
    begin: () => query("alter table attempts rename to elsewhere"),
    end: () => query("alter table elsewhere rename to attempts"),
  },
  {
    name: "an unknown SQLSTATE from every insert",
    async begin() {
      await query(`create function refuse() returns trigger language plpgsql as
        $$ begin raise exception 'not now' using errcode = 'ZZ123'; end $$`);
      await query("create trigger refuse before insert on attempts for each row execute function refuse()");
    },
    end: () => query("drop function refuse() cascade"),
  },
];

test.each(refusals)("what was sent waits for its record and is not sent again during $name", async (refusal) => {
  const { recorder, queues } = world.context;
  const open = gate();
  const endpoint = receiver.endpoint(open);
  await world.subscribe({ url: endpoint.url });
  await world.accept(...Array.from({ length: 10 }, () => ({})));
  await dispatch();
  await whileLanesRun(async () => {
    await endpoint.untilRequests(1);
    await refusal.begin();
    try {
      open.open();
      await waitFor("the recorder waits", () => recorder.outage.isUnderWay);
      await waitFor("all requests under way are over", () => world.context.slots.inUse === 0);
      const sent = endpoint.requests.length;
      expect(recorder.waiting).toBe(sent);
      // The lanes take nothing that comes now.
      await world.accept({});
      await dispatch();
      await queues.retry.addBulk([retryJob({ delivery: newId(), cycle: 0, eventType: "x", url: undefined, delayMs: 0 })]); // prettier-ignore
      await waitFor("the oldest has waited for longer than its lock lasts", () => recorder.oldestMs > 2_500);
      expect(endpoint.requests).toHaveLength(sent);
      expect(await queues.retry.getJobCountByTypes("waiting", "delayed")).toBe(1);
      expect(await states()).toEqual(Array.from({ length: 11 }, () => "pending"));
    } finally {
      await refusal.end();
    }
    await waitFor("all are delivered", async () => (await states()).every((state) => state === "delivered"));
  });
  expect(endpoint.requests).toHaveLength(11);
  expect(recorder.waiting).toBe(0);
});

test("a batch whose outcomes wait for longer than its deadline keeps its lock, and nothing is sent twice", async () => {
  const { recorder, queues } = world.context;
  const endpoint = receiver.endpoint(answer(200));
  await world.subscribe({ url: endpoint.url });
  await world.accept({});
  const [batch] = world.batches;
  await refusals[0]!.begin();
  await dispatch();
  await whileLanesRun(
    async () => {
      await waitFor("the outcome has waited for longer than the deadline", () => recorder.oldestMs > 3_000);
      expect(await queues.dispatch.getJobState(batch!.id)).toBe("active");
      expect((await queues.dispatch.getJob(batch!.id))?.stalledCounter).toBe(0);
      await refusals[0]!.end();
      await waitFor("it is delivered", async () => (await states())[0] === "delivered");
    },
    { deadlineMs: 500, graceMs: 500 },
  );
  expect(endpoint.requests).toHaveLength(1);
});

test("what was sent is recorded although the lock of its batch was lost meanwhile", async () => {
  const { recorder, redis, queues } = world.context;
  const endpoint = receiver.endpoint(answer(200));
  await world.subscribe({ url: endpoint.url });
  await world.accept({});
  await refusals[0]!.begin();
  await dispatch();
  await whileLanesRun(async () => {
    await waitFor("the outcome waits", () => recorder.outage.isUnderWay);
    await redis.flushdb();
    await waitFor("its job is gone", async () => (await queues.dispatch.getActiveCount()) === 0);
    await refusals[0]!.end();
    await waitFor("it is delivered", async () => (await states())[0] === "delivered");
  });
  expect((await query("select superseded from attempts")).rows).toEqual([{ superseded: false }]);
});
