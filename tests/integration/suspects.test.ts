import type { Job } from "bullmq";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type DispatchJob, dispatchJob, retryJob } from "@postrider/shared/queue/jobs.ts";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import { type Receiver, startReceiver } from "@postrider/testkit/receiver/receiver.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { Suspects, type Verdict } from "../../apps/worker/src/deliver/suspects.ts";
import { startDispatchLane } from "../../apps/worker/src/lanes/dispatch-lane.ts";
import { request } from "../../apps/worker/src/isolation/slots-test-kit.ts";
import { runOnce } from "../../apps/worker/src/upkeep/watchdog.ts";
import { startRetryLane } from "../../apps/worker/src/lanes/retry-lane.ts";
import { whileLanesRun } from "./run-lanes.ts";

let world: World;
let receiver: Receiver;
beforeAll(async () => {
  world = await createTestWorld({ LOCK_DURATION: "1s", STALLED_INTERVAL: "200ms", DELIVERY_TIMEOUT: "500ms" });
  receiver = await startReceiver();
});
afterAll(async () => {
  await world.close();
  await receiver.close();
});
beforeEach(() => world.empty());

/** A worker's view, that of a new process. */
const process = () => new Suspects({ deliveryTimeoutMs: 0 }, world.context.log);

async function suspect(count = 1): Promise<Job<DispatchJob>[]> {
  await world.subscribe();
  await world.accept(...Array.from({ length: count }, () => ({})));
  const { dispatch } = world.context.queues;
  const ids = world.batches.splice(0).map(({ id }) => id);
  const [{ from, to }] = [{ from: ids[0]!, to: ids[0]! }];
  for (let n = 0; n < count; n += 1) {
    const { name, data, opts } = dispatchJob({ id: `${ids[0]}-${n}`, size: 1, from, to, isSuspect: true });
    await dispatch.add(name, data, opts);
  }
  return Promise.all(Array.from({ length: count }, async (_, n) => (await dispatch.getJob(`${ids[0]}-${n}`))!));
}

const read = async (job: Job<DispatchJob>) => (await world.context.queues.dispatch.getJob(job.id!))!;
const judgeWith = async (suspects: Suspects, job: Job<DispatchJob>): Promise<Verdict> =>
  suspects.judge(await read(job));

test("a delivery is poison when three workers died while they tried it, and not before", async () => {
  const [job] = await suspect();
  for (let deaths = 0; deaths < 3; deaths += 1) {
    // It tries the suspect, and dies: end() is never called.
    expect(await judgeWith(process(), job!)).toMatchObject({ kind: "try" });
    expect(await judgeWith(process(), job!)).toMatchObject({ kind: "later" });
  }
  expect(await judgeWith(process(), job!)).toEqual({ kind: "poison" });
});

test("a worker that has just started tries no suspect, and one after a death needs twice the calm", async () => {
  const [job] = await suspect();
  const deliveryTimeoutMs = 1_000;
  for (const calmMs of [2_000, 4_000, 8_000]) {
    let now = 0;
    const worker = new Suspects({ deliveryTimeoutMs }, world.context.log, () => now);
    now = calmMs - 1;
    expect(await judgeWith(worker, job!)).toEqual({ kind: "later", delayMs: 1 });
    now = calmMs;
    expect(await judgeWith(worker, job!)).toMatchObject({ kind: "try" });
    // It dies. Another one finds its mark.
    expect(await judgeWith(process(), job!)).toMatchObject({ kind: "later" });
  }
});

test("the watchdog leaves a suspect's job alone while it waits for a calm worker", async () => {
  await world.subscribe();
  await world.accept({});
  const { queues, pool, redis } = world.context;
  // A batch that was made a while ago.
  const [batch] = world.batches;
  const id = `00000000${batch!.id.slice(8)}`;
  await pool.query("update deliveries set batch_id = $1", [id]);
  const { name, data, opts } = dispatchJob({ ...batch!, id, isSuspect: true });
  const worker = new Suspects({ deliveryTimeoutMs: 60_000 }, world.context.log);
  const context = { ...world.context, settings: { ...world.settings, deliveryTimeoutMs: 60_000 } };
  const job = await queues.dispatch.add(name, data, opts);
  const verdict = await worker.judge(job);
  if (verdict.kind !== "later") throw new Error(verdict.kind);
  await redis.del(queues.dispatch.toKey("wait"));
  await redis.zadd(queues.dispatch.toKey("delayed"), (Date.now() + verdict.delayMs) * 4_096, id);
  expect(await runOnce(context)).toMatchObject({ leader: true, pending: { examined: 1, repaired: 0 } });
  expect((await queues.dispatch.getJob(id))?.data.suspicion).toEqual({ diedIn: [] });
});

test("a try that ends without an attempt, and one whose worker lives after all, count for nothing", async () => {
  const [job] = await suspect();
  const { queues } = world.context;
  const slow = process();
  const given = await judgeWith(slow, job!);
  if (given.kind !== "try") throw new Error(given.kind);
  await given.end(false);
  expect((await read(job!)).data.suspicion).toEqual({ diedIn: [] });
  await judgeWith(slow, job!);
  // Its event loop was blocked: another worker believes that it died.
  await judgeWith(process(), job!);
  expect((await read(job!)).data.suspicion?.diedIn).toHaveLength(1);
  await slow.takeBack(queues.dispatch, job!.id!);
  expect((await read(job!)).data.suspicion).toEqual({ diedIn: [] });
});

test("suspects are tried together until a worker dies, and then one at a time", async () => {
  const [first, second, third] = await suspect(3);
  const one = process();
  expect((await judgeWith(one, first!)).kind).toBe("try");
  expect((await judgeWith(one, second!)).kind).toBe("try");
  const other = process();
  for (const job of [first!, second!]) expect((await judgeWith(other, job)).kind).toBe("later");
  const alone = await judgeWith(other, first!);
  expect((await judgeWith(other, second!)).kind).toBe("later");
  expect((await judgeWith(other, third!)).kind).toBe("later");
  if (alone.kind !== "try") throw new Error(alone.kind);
  await alone.end(true);
  expect((await judgeWith(other, third!)).kind).toBe("try");
  expect((await judgeWith(other, second!)).kind).toBe("later");
});

const settled = () =>
  waitFor("every delivery is settled", async () => (await world.rows()).every(({ settled_at }) => settled_at !== null));

test("the lanes deliver what stalled often in workers that died of something else", async () => {
  const endpoint = receiver.endpoint(answer(200));
  await world.subscribe({ url: endpoint.url });
  await world.accept({}, {}, {});
  const { queues, redis, pool } = world.context;
  await pool.query(`update deliveries set state = 'retrying', batch_id = null, next_attempt_at = now()
    where id = (select id from deliveries order by id limit 1)`);
  const [retrying] = await world.rows();
  const retry = retryJob({ delivery: retrying!.id, cycle: 0, eventType: "x", url: undefined, delayMs: 0 });
  await queues.dispatch.addBulk(world.batches.map(dispatchJob));
  await queues.retry.addBulk([retry]);
  await redis.hset(queues.dispatch.toKey(world.batches[0]!.id), "stc", 3);
  await redis.hset(queues.retry.toKey(retry.opts.jobId), "stc", 3);
  await whileLanesRun(world.context, async () => void (await settled()));
  expect((await world.rows()).map(({ state }) => state)).toEqual(["delivered", "delivered", "delivered"]);
  expect(endpoint.requests).toHaveLength(3);
});

test("the lanes dead-letter poison as internal, without an attempt", async () => {
  const endpoint = receiver.endpoint(answer(200));
  await world.subscribe({ url: endpoint.url });
  await world.accept({}, {});
  const { queues, pool } = world.context;
  await pool.query(`update deliveries set state = 'retrying', batch_id = null, next_attempt_at = now()
    where id = (select id from deliveries order by id limit 1)`);
  const [retrying] = await world.rows();
  const suspicion = { diedIn: ["1", "2", "3"] };
  const dispatched = dispatchJob(world.batches[0]!);
  const retry = retryJob({ delivery: retrying!.id, cycle: 0, eventType: "x", url: undefined, delayMs: 0 });
  await queues.dispatch.addBulk([{ ...dispatched, data: { ...dispatched.data, suspicion } }]);
  await queues.retry.addBulk([{ ...retry, data: { ...retry.data, suspicion } }]);
  await whileLanesRun(world.context, async () => void (await settled()));
  const dead = { state: "dead", dead_reason: "internal", attempt_count: 0 };
  expect(await world.rows()).toMatchObject([dead, dead]);
  // The retry's own job fails. The other one is shown in the queue for this.
  expect(await queues.retry.getFailedCount()).toBe(1);
  expect(await queues.deadLetters.getJobCountByTypes("waiting")).toBe(1);
  expect(endpoint.requests).toHaveLength(0);
});

test("a stall of a batch or a retry that its own process still works on is taken back", async () => {
  const slow = receiver.endpoint(answer(200, { afterMs: 400 }));
  await world.subscribe({ url: slow.url });
  await world.accept({}, {});
  const { queues, redis, pool } = world.context;
  await pool.query(`update deliveries set state = 'retrying', batch_id = null, next_attempt_at = now()
    where id = (select id from deliveries order by id limit 1)`);
  const [retrying] = await world.rows();
  const retry = retryJob({ delivery: retrying!.id, cycle: 0, eventType: "x", url: undefined, delayMs: 0 });
  const jobs = [
    { queue: queues.dispatch, id: world.batches[0]!.id },
    { queue: queues.retry, id: retry.opts.jobId },
  ];
  // What is sent is recorded only after the jobs have come back.
  let write = (): void => undefined;
  const written = new Promise<void>((resolve) => (write = resolve));
  const { recorder } = world.context;
  const record: typeof recorder.record = (one) => written.then(() => recorder.record(one));
  const context = { ...world.context, recorder: { ...recorder, record } };
  await queues.dispatch.addBulk(world.batches.map(dispatchJob));
  await queues.retry.addBulk([retry]);
  const lanes = [startDispatchLane(context), startRetryLane(context)];
  try {
    await slow.untilRequests(2);
    // The process could not renew its locks.
    for (const { queue, id } of jobs) await redis.del(`${queue.toKey(id)}:lock`);
    await waitFor("both stalls are taken back", async () => {
      const found = await Promise.all(jobs.map(({ queue, id }) => queue.getJob(id)));
      return found.every((job) => job!.stalledCounter > 0 && job!.data.stallsBefore === job!.stalledCounter);
    });
  } finally {
    write();
    await settled();
    await Promise.all(lanes.map((lane) => lane.stop()));
  }
  expect((await world.rows()).map(({ state }) => state)).toEqual(["delivered", "delivered"]);
});

test("a suspect that gets no slot is put back without its mark", async () => {
  const endpoint = receiver.endpoint(answer(200));
  await world.subscribe({ url: endpoint.url });
  await world.accept({});
  const { queues, pool, slots } = world.context;
  const { rows } = await pool.query<{ id: string }>("update subscriptions set max_in_flight = 1 returning id");
  // A released delivery waits for its slot, however long that takes.
  await pool.query("update deliveries set held_at = now()");
  const [dispatched] = world.batches.splice(0).map(dispatchJob);
  await queues.dispatch.addBulk([{ ...dispatched!, data: { ...dispatched!.data, suspicion: { diedIn: ["1"] } } }]);
  const slot = await slots.acquire({ ...request(rows[0]!.id), maxInFlight: 1 });
  const job = async () => (await queues.dispatch.getJob(dispatched!.opts.jobId))!;
  await whileLanesRun(world.context, async () => {
    await waitFor("it is marked", async () => (await job()).data.suspicion?.triedBy !== undefined);
    await waitFor("it is put back", async () => await (await job()).isDelayed());
    expect((await job()).data.suspicion).toEqual({ diedIn: ["1"] });
    if (slot.kind === "granted") slot.release(200, 1);
    await settled();
  });
  expect(endpoint.requests).toHaveLength(1);
});
