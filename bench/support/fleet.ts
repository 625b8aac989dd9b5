import type { Behaviour } from "../processes/subscribers.ts";
import type { EventSourceTask, Offered } from "../processes/event-source.ts";
import type { Bench } from "../suites/suite.ts";
import { type Child, withChildren } from "./child.ts";
import { type CpuTimes, readCpu } from "./cpu.ts";
import type { Database } from "./database.ts";
import { type EventSource, startEventSource } from "./event-source.ts";
import { type Env, post, postriderEnv, reset, startIngest, startReadyWorkers, startWorker } from "./postrider.ts";
import { readResidentMemory } from "./resident-memory.ts";
import { startSubscribers, type Subscribers } from "./subscribers.ts";

/** How Postrider is run. */
export interface FleetKind {
  /** On top of the settings that every contender has. */
  env: Env;
  /** Another entry point of the worker. */
  workerScript?: URL;
  /** How long its healthy subscribers take to answer, milliseconds; undefined for no time at all. */
  healthyMs?: number;
  /** Undefined for the benchmark's own, and its first database. */
  redisUrl?: string;
  /** What is done before it starts; undefined for forgetting all that was. */
  prepare?: typeof reset;
}

/** A subscription as the API takes it; what is not said has its default. */
export interface NewSubscription {
  url: string;
  tenant?: string;
  eventTypes?: string[];
  rateLimit?: number;
  maxInFlight?: number;
}

const WORKERS = 2;

/** Something that delivers what is posted to it, and its subscribers. */
export interface System {
  subscribers: Subscribers;
  source(task: Omit<EventSourceTask, "apiKey" | "origin">): Promise<EventSource>;
  /** CPU time so far of each kind of process; undefined where it cannot be had. */
  readCpu(): CpuTimes | undefined;
}

/** Postrider and its subscribers. */
export interface Fleet extends System {
  origin: string;
  adopt: (child: Child) => Child;
  /** @returns the subscription's id */
  subscribe(subscription: NewSubscription): Promise<string>;
  /** Starts workers, two unless said otherwise, and waits until they are ready. */
  startWorkers(count?: number): Promise<void>;
  /** Resident memory of all workers, bytes; undefined where it cannot be had. */
  workerMemory(): number | undefined;
  /** Lets the workers end what they are about. */
  stopWorkers(): Promise<void>;
  /** Queues events through the API as fast as it takes them. */
  queue(
    task: Pick<EventSourceTask, "targets" | "events" | "eventsPerRequest" | "payloadBytes">,
    withinMs: number,
  ): Promise<Offered>;
}

const QUEUEING_CONNECTIONS = 4;

/** Runs `work` with a fleet of its own; nothing of it is left afterwards. */
export function withFleet<T>(
  { servers, profileDir }: Bench,
  database: Database,
  { env, workerScript, healthyMs = 0, redisUrl = servers.redisUrl, prepare = reset }: FleetKind,
  behaviours: readonly Behaviour[],
  work: (fleet: Fleet) => Promise<T>,
): Promise<T> {
  const settings = { ...postriderEnv(database.url, redisUrl), ...env };
  return withChildren(async (adopt) => {
    await prepare(database, redisUrl);
    const subscribers = await startSubscribers(behaviours, healthyMs, adopt);
    const { child: ingest, origin } = await startIngest(settings, adopt, profileDir);
    let workers: Child[] = [];
    const source: Fleet["source"] = (task) => startEventSource({ ...task, origin }, adopt);
    try {
      return await work({
        origin,
        subscribers,
        adopt,
        source,
        readCpu: () =>
          readCpu({
            ingest: ingest.pid,
            worker: workers.map(({ pid }) => pid),
            postgres: servers.postgresPid,
            redis: servers.redisPid,
            receiver: subscribers.pid,
          }),
        async subscribe(subscription) {
          const { id } = await post<{ id: string }>(origin, "/v1/subscriptions", subscription);
          return id;
        },
        async startWorkers(count = WORKERS) {
          await startReadyWorkers(count, (ADMIN_PORT) => {
            const worker = adopt(startWorker({ ...settings, ADMIN_PORT }, profileDir, workerScript));
            workers.push(worker);
            return worker;
          });
        },
        workerMemory: () =>
          workers.reduce<number | undefined>((sum, { pid }) => {
            const bytes = readResidentMemory(pid);
            return sum === undefined || bytes === undefined ? undefined : sum + bytes;
          }, 0),
        async stopWorkers() {
          await Promise.all(workers.map((worker) => worker.stop()));
          workers = [];
        },
        async queue(task, withinMs) {
          const all = await source({ ...task, connections: QUEUEING_CONNECTIONS, isTraced: false });
          all.go();
          return all.done(withinMs);
        },
      });
    } finally {
      // A worker would wait for the slow and the dead; only one that leaves a profile must end by itself.
      if (profileDir === undefined) await Promise.all(workers.map((worker) => worker.kill()));
    }
  });
}
