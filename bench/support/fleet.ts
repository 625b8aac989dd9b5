import type { Client } from "@postrider/testkit/client/client.ts";
import type { NewSubscription } from "@postrider/testkit/client/types.ts";
import { type Env, withProcesses } from "@postrider/testkit/processes/managed-process.ts";
import type { Behaviour } from "../processes/subscribers.ts";
import type { EventSourceTask, Offered } from "../processes/event-source.ts";
import type { Bench } from "../suites/suite.ts";
import { type CpuTimes, readCpu } from "./cpu.ts";
import type { Database } from "./database.ts";
import { type EventSource, startEventSource } from "./event-source.ts";
import { postriderEnv, prepareStack, reset } from "./postrider.ts";
import type { Adopt } from "./processes.ts";
import { readResidentMemory } from "@postrider/testkit/processes/resident-memory.ts";
import { startSubscribers, type Subscribers } from "./subscribers.ts";

/** How Postrider is run. */
export interface FleetKind {
  /** On top of the settings that every contender has. */
  env: Env;
  /** Another entry point of the worker. */
  workerScript?: URL;
  /** How long its healthy subscribers take to answer, milliseconds; undefined for 0. */
  healthyMs?: number;
  /** Undefined for the first database of the benchmark's own Redis. */
  redisUrl?: string;
  /** Prepares the database and Redis before it starts; undefined for removing everything. */
  prepare?: typeof reset;
}

const WORKERS = 2;

/** A system that delivers the events posted to it, and its subscribers. */
export interface System {
  subscribers: Subscribers;
  source(task: Omit<EventSourceTask, "apiKey" | "origin">): Promise<EventSource>;
  /** CPU time so far of each kind of process; undefined where it is unavailable. */
  readCpu(): CpuTimes | undefined;
}

/** Postrider and its subscribers. */
export interface Fleet extends System {
  api: Client;
  adopt: Adopt;
  /** @returns the subscription's id */
  subscribe(subscription: NewSubscription): Promise<string>;
  /** Starts workers, two unless said otherwise, and waits until they are ready. */
  startWorkers(count?: number): Promise<void>;
  /** Resident memory of all workers, bytes; undefined where it is unavailable. */
  workerMemory(): number | undefined;
  /** Stops the workers after the requests that they have in flight. */
  stopWorkers(): Promise<void>;
  /** Queues events through the API as fast as it takes them. */
  queue(
    task: Pick<EventSourceTask, "targets" | "events" | "eventsPerRequest" | "payloadBytes">,
    withinMs: number,
  ): Promise<Offered>;
}

const QUEUEING_CONNECTIONS = 4;

/** Runs `work` with a fleet of its own and removes it afterwards. */
export function withFleet<T>(
  { servers, profileDir }: Bench,
  database: Database,
  { env, workerScript, healthyMs = 0, redisUrl = servers.redisUrl, prepare = reset }: FleetKind,
  behaviours: readonly Behaviour[],
  work: (fleet: Fleet) => Promise<T>,
): Promise<T> {
  const settings = { ...postriderEnv(database.url, redisUrl), ...env };
  return withProcesses(async (adopt) => {
    await prepare(database, redisUrl);
    const subscribers = await startSubscribers(behaviours, healthyMs, adopt);
    const stack = await prepareStack(settings, profileDir);
    const { api } = stack;
    const source: Fleet["source"] = (task) => startEventSource({ ...task, origin: api.baseUrl }, adopt);
    try {
      const ingest = await stack.startIngest();
      return await work({
        api,
        subscribers,
        adopt,
        source,
        readCpu: () =>
          readCpu({
            ingest: ingest.pid,
            worker: stack.runningWorkers.map(({ pid }) => pid),
            postgres: servers.postgresPid,
            redis: servers.redisPid,
            receiver: subscribers.pid,
          }),
        async subscribe(subscription) {
          return (await api.subscribe(subscription)).id;
        },
        async startWorkers(count = WORKERS) {
          await stack.startWorkers(count, {}, workerScript);
        },
        workerMemory: () =>
          stack.runningWorkers.reduce<number | undefined>((sum, { pid }) => {
            const bytes = readResidentMemory(pid);
            return sum === undefined || bytes === undefined ? undefined : sum + bytes;
          }, 0),
        async stopWorkers() {
          await Promise.all(stack.runningWorkers.map((worker) => worker.stop()));
        },
        async queue(task, withinMs) {
          const all = await source({ ...task, connections: QUEUEING_CONNECTIONS, isTraced: false });
          all.go();
          return all.done(withinMs);
        },
      });
    } finally {
      // A worker's shutdown waits for slow and dead subscribers; only a CPU profile needs it.
      if (profileDir === undefined) await Promise.all(stack.runningWorkers.map((worker) => worker.kill("SIGKILL")));
      await stack.stop();
    }
  });
}
