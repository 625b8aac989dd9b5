import { setTimeout as sleep } from "node:timers/promises";
import type { PostLoopTask } from "../processes/post-loop.ts";
import type { AllReceived, FirstReceived, Listening, ReceiverTask } from "../processes/receiver.ts";
import type { Queued, TextbookTask } from "../processes/textbook.ts";
import type { Bench } from "../suites/suite.ts";
import { Child, withChildren } from "./child.ts";
import { cpuPerEvent, readCpu } from "./cpu.ts";
import type { Database } from "./database.ts";
import { eventAt } from "./payloads.ts";
import { flushRedis, post, postriderEnv, reset, startIngest, startWorker } from "./postrider.ts";
import type { Figures } from "./rounds.ts";

/** Of the baselines, the bare loop and the textbook's worker alike. */
const CONCURRENCY = 100;
/** Each has one subscription, and a subscription's default is 32 requests in flight: together they fill the 256 slots of a worker. */
const TENANTS = 8;
const EVENTS_PER_REQUEST = 100;
const QUEUEING_CONNECTIONS = 4;
const START_DEADLINE_MS = 30_000;
const QUEUE_DEADLINE_MS = 180_000;
const DRAIN_DEADLINE_MS = 180_000;
const RECORD_DEADLINE_MS = 15_000;

type Adopt = (child: Child) => Child;

interface Receiver {
  child: Child;
  origin: string;
}

/** Queues the deliveries through the API while no worker runs, then starts one. */
export function drainPostrider(bench: Bench, database: Database, deliveries: number): Promise<Figures> {
  const { servers, profileDir } = bench;
  const env = postriderEnv(database.url, servers.redisUrl);
  return withChildren(async (adopt) => {
    await reset(database, servers.redisUrl);
    const receiver = await startReceiver(adopt, deliveries);
    const { origin } = await startIngest(env, adopt, profileDir);
    for (let tenant = 0; tenant < TENANTS; tenant += 1) {
      await post(origin, "/v1/subscriptions", { url: `${receiver.origin}/hook-${tenant}`, tenant: `tenant-${tenant}` });
    }
    const statementsBefore = await database.countStatements();
    await queueThroughApi(origin, deliveries);
    const statementsQueued = await database.countStatements();
    await database.run("checkpoint");

    const figures = await drain(bench, receiver, [adopt(startWorker(env, profileDir))], deliveries);
    await untilRecorded(database, deliveries, "state = 'delivered' and attempt_count = 1");
    const statementsDrained = await database.countStatements();
    return {
      ...figures,
      ...statementFigures([statementsBefore, statementsQueued, statementsDrained], deliveries),
    };
  });
}

export function drainTextbook(bench: Bench, database: Database, deliveries: number): Promise<Figures> {
  const { servers } = bench;
  return withChildren(async (adopt) => {
    await database.run("truncate events, deliveries, attempts, subscriptions; checkpoint");
    await flushRedis(servers.redisUrl);
    const receiver = await startReceiver(adopt, deliveries);
    const task: TextbookTask = {
      databaseUrl: database.url,
      redisUrl: servers.redisUrl,
      url: `${receiver.origin}/hook`,
      deliveries,
    };
    const statementsBefore = await database.countStatements();
    const producer = adopt(
      new Child("textbook producer", new URL("../processes/textbook-producer.ts", import.meta.url), { task }),
    );
    await producer.next<Queued>("queued", QUEUE_DEADLINE_MS);
    await producer.stop();
    const statementsQueued = await database.countStatements();
    await database.run("checkpoint");

    const script = new URL("../processes/textbook-worker.ts", import.meta.url);
    const figures = await drain(bench, receiver, [adopt(new Child("textbook worker", script, { task }))], deliveries);
    await untilRecorded(database, deliveries, "status = 'delivered' and attempts = 1");
    const statementsDrained = await database.countStatements();
    return {
      ...figures,
      ...statementFigures([statementsBefore, statementsQueued, statementsDrained], deliveries),
    };
  });
}

/** @param loops so many processes, each with its part of the deliveries */
export function drainBare(bench: Bench, deliveries: number, loops = 1): Promise<Figures> {
  return withChildren(async (adopt) => {
    const receiver = await startReceiver(adopt, deliveries);
    const each = deliveries / loops;
    const children = Array.from({ length: loops }, (_, number) => {
      const task: PostLoopTask = { origin: receiver.origin, deliveries: each, from: number * each, concurrency: CONCURRENCY }; // prettier-ignore
      return adopt(new Child("post loop", new URL("../processes/post-loop.ts", import.meta.url), { task }));
    });
    return drain(bench, receiver, children, deliveries);
  });
}

/** From the first receipt to the last: a process's start is not what is measured. */
async function drain(
  { servers }: Bench,
  receiver: Receiver,
  workers: readonly Child[],
  deliveries: number,
): Promise<Record<string, number>> {
  const pids = {
    worker: workers.map(({ pid }) => pid),
    receiver: receiver.child.pid,
    postgres: servers.postgresPid,
    redis: servers.redisPid,
  };
  await Promise.race([
    receiver.child.next<FirstReceived>("first", START_DEADLINE_MS),
    ...workers.map((worker) =>
      worker.ended().then(() => Promise.reject(worker.failure("ended before anything was received"))),
    ),
  ]);
  const cpuBefore = readCpu(pids);
  const { durationMs, requests } = await receiver.child.next<AllReceived>("all", DRAIN_DEADLINE_MS).catch((error) => {
    throw workers[0]!.failure(`did not finish: ${(error as Error).message}`);
  });
  const cpuAfter = readCpu(pids);
  return {
    "delivered/s": (deliveries / durationMs) * 1000,
    repeats: requests - deliveries,
    ...cpuPerEvent(cpuBefore, cpuAfter, deliveries),
  };
}

async function startReceiver(adopt: Adopt, expected: number): Promise<Receiver> {
  const task: ReceiverTask = { expected };
  const child = adopt(new Child("receiver", new URL("../processes/receiver.ts", import.meta.url), { task }));
  const { port } = await child.next<Listening>("listening", START_DEADLINE_MS);
  return { child, origin: `http://127.0.0.1:${port}` };
}

async function queueThroughApi(origin: string, deliveries: number): Promise<void> {
  let next = 0;
  let made = 0;
  const queue = async () => {
    while (next < deliveries) {
      const from = next;
      next = Math.min(deliveries, next + EVENTS_PER_REQUEST);
      const events = Array.from({ length: next - from }, (_, index) => ({
        ...eventAt(from + index),
        tenant: `tenant-${(from + index) % TENANTS}`,
      }));
      const { data } = await post<{ data: { deliveries: number }[] }>(origin, "/v1/events/batch", { events });
      made += data.reduce((sum, accepted) => sum + accepted.deliveries, 0);
    }
  };
  await Promise.all(Array.from({ length: QUEUEING_CONNECTIONS }, queue));
  if (made !== deliveries) throw new Error(`${made} deliveries were made of ${deliveries} events`);
}

/** The last answers are still being recorded when the receiver has everything. */
async function untilRecorded(database: Database, deliveries: number, condition: string): Promise<void> {
  const deadline = performance.now() + RECORD_DEADLINE_MS;
  for (;;) {
    const recorded = await database.count(`select count(*)::int as count from deliveries where ${condition}`);
    if (recorded === deliveries) break;
    if (performance.now() > deadline) throw new Error(`${recorded} of ${deliveries} deliveries were recorded as such`);
    await sleep(200);
  }
  const attempts = await database.count("select count(*)::int as count from attempts");
  if (attempts !== deliveries) throw new Error(`${attempts} attempts are recorded for ${deliveries} deliveries`);
}

const statementFigures = ([before, queued, drained]: [number, number, number], events: number) => ({
  "sql accept": (queued - before) / events,
  "sql deliver": (drained - queued) / events,
  sql: (drained - before) / events,
});
