import type { Client } from "@postrider/testkit/client/client.ts";
import { type ManagedProcess, withProcesses } from "@postrider/testkit/processes/managed-process.ts";
import { flushRedis } from "@postrider/testkit/servers/redis.ts";
import { holdsWithin } from "@postrider/testkit/wait.ts";
import type { PostLoopTask } from "../processes/post-loop.ts";
import type { AllReceived, FirstReceived, Listening, ReceiverTask } from "../processes/receiver.ts";
import type { Queued, TextbookTask } from "../processes/textbook.ts";
import type { Bench } from "../suites/suite.ts";
import { cpuPerEvent, readCpu } from "./cpu.ts";
import type { Database } from "./database.ts";
import { eventAt } from "./payloads.ts";
import { postriderEnv, prepareStack, reset } from "./postrider.ts";
import { type Adopt, startProcess } from "./processes.ts";
import type { Figures } from "./rounds.ts";

/** The concurrency of both baselines, the bare loop and the textbook's worker. */
const CONCURRENCY = 100;
/**
 * Each has one subscription with the default limit of 32 requests in flight; together they fill a worker's 256 slots.
 */
const TENANTS = 8;
const EVENTS_PER_REQUEST = 100;
const QUEUEING_CONNECTIONS = 4;
const START_DEADLINE_MS = 30_000;
const QUEUE_DEADLINE_MS = 180_000;
const DRAIN_DEADLINE_MS = 180_000;
const RECORD_DEADLINE_MS = 15_000;

interface Receiver {
  child: ManagedProcess;
  origin: string;
}

/** Queues the deliveries through the API while no worker runs, then starts a worker. */
export function drainPostrider(bench: Bench, database: Database, deliveries: number): Promise<Figures> {
  const { servers, profileDir } = bench;
  return withProcesses(async (adopt) => {
    await reset(database, servers.redisUrl);
    const receiver = await startReceiver(adopt, deliveries);
    const stack = await prepareStack(postriderEnv(database.url, servers.redisUrl), profileDir);
    adopt(await stack.startIngest());
    for (let tenant = 0; tenant < TENANTS; tenant += 1) {
      await stack.api.subscribe({ url: `${receiver.origin}/hook-${tenant}`, tenant: `tenant-${tenant}` });
    }
    const statementsBefore = await database.countStatements();
    await queueThroughApi(stack.api, deliveries);
    const statementsQueued = await database.countStatements();
    await database.run("checkpoint");

    const figures = await drain(bench, receiver, [adopt(await stack.spawnWorker())], deliveries);
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
  return withProcesses(async (adopt) => {
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
    const producer = adopt(startProcess("textbook producer", "textbook-producer.ts", { task }));
    await producer.next<Queued>("queued", QUEUE_DEADLINE_MS);
    await producer.stop();
    const statementsQueued = await database.countStatements();
    await database.run("checkpoint");

    const worker = adopt(startProcess("textbook worker", "textbook-worker.ts", { task }));
    const figures = await drain(bench, receiver, [worker], deliveries);
    await untilRecorded(database, deliveries, "status = 'delivered' and attempts = 1");
    const statementsDrained = await database.countStatements();
    return {
      ...figures,
      ...statementFigures([statementsBefore, statementsQueued, statementsDrained], deliveries),
    };
  });
}

/** @param loops the number of processes, each with its part of the deliveries */
export function drainBare(bench: Bench, deliveries: number, loops = 1): Promise<Figures> {
  return withProcesses(async (adopt) => {
    const receiver = await startReceiver(adopt, deliveries);
    const each = deliveries / loops;
    const children = Array.from({ length: loops }, (_, number) => {
      const task: PostLoopTask = { origin: receiver.origin, deliveries: each, from: number * each, concurrency: CONCURRENCY }; // prettier-ignore
      return adopt(startProcess("post loop", "post-loop.ts", { task }));
    });
    return drain(bench, receiver, children, deliveries);
  });
}

/** From the first receipt to the last, without the start of the process. */
async function drain(
  { servers }: Bench,
  receiver: Receiver,
  workers: readonly ManagedProcess[],
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
      worker.exit.then(() => Promise.reject(worker.failure("ended before anything was received"))),
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
  const child = adopt(startProcess("receiver", "receiver.ts", { task }));
  const { port } = await child.next<Listening>("listening", START_DEADLINE_MS);
  return { child, origin: `http://127.0.0.1:${port}` };
}

async function queueThroughApi(api: Client, deliveries: number): Promise<void> {
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
      const all = await api.sendBatch(events);
      made += all.reduce((sum, accepted) => sum + accepted.deliveries, 0);
    }
  };
  await Promise.all(Array.from({ length: QUEUEING_CONNECTIONS }, queue));
  if (made !== deliveries) throw new Error(`${made} deliveries were made of ${deliveries} events`);
}

/** The last answers are still being recorded when the receiver has everything. */
async function untilRecorded(database: Database, deliveries: number, condition: string): Promise<void> {
  const recorded = () => database.count(`select count(*)::int as count from deliveries where ${condition}`);
  if (!(await holdsWithin(RECORD_DEADLINE_MS, 200, async () => (await recorded()) === deliveries))) {
    throw new Error(`${await recorded()} of ${deliveries} deliveries were recorded as such`);
  }
  const attempts = await database.count("select count(*)::int as count from attempts");
  if (attempts !== deliveries) throw new Error(`${attempts} attempts are recorded for ${deliveries} deliveries`);
}

const statementFigures = ([before, queued, drained]: [number, number, number], events: number) => ({
  "sql accept": (queued - before) / events,
  "sql deliver": (drained - queued) / events,
  sql: (drained - before) / events,
});
