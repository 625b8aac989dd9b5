import type { Behaviour } from "../processes/subscribers.ts";
import type { EventSourceTask, Offered } from "../processes/event-source.ts";
import type { Bench } from "../suites/suite.ts";
import { type Child, withChildren } from "./child.ts";
import type { Database } from "./database.ts";
import { type EventSource, startEventSource } from "./event-source.ts";
import { type Env, post, postriderEnv, reset, startIngest, startReadyWorkers, startWorker } from "./postrider.ts";
import { startSubscribers, type Subscribers } from "./subscribers.ts";

/** How Postrider is run. */
export interface FleetKind {
  /** On top of the settings that every contender has. */
  env: Env;
  /** Another entry point of the worker. */
  workerScript?: URL;
  /** How long its healthy subscribers take to answer, milliseconds; undefined for no time at all. */
  healthyMs?: number;
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

/** Postrider with an empty database, and its subscribers. */
export interface Fleet {
  origin: string;
  subscribers: Subscribers;
  adopt: (child: Child) => Child;
  /** @returns the subscription's id */
  subscribe(subscription: NewSubscription): Promise<string>;
  /** Starts two workers and waits until they are ready. */
  startWorkers(): Promise<void>;
  source(task: Omit<EventSourceTask, "apiKey" | "origin">): Promise<EventSource>;
  /** Queues events through the API as fast as it takes them. */
  queue(task: Pick<EventSourceTask, "targets" | "events" | "eventsPerRequest">, withinMs: number): Promise<Offered>;
}

const QUEUEING_CONNECTIONS = 4;

/** Runs `work` with a fleet of its own; nothing of it is left afterwards. */
export function withFleet<T>(
  { servers, profileDir }: Bench,
  database: Database,
  { env, workerScript, healthyMs = 0 }: FleetKind,
  behaviours: readonly Behaviour[],
  work: (fleet: Fleet) => Promise<T>,
): Promise<T> {
  const settings = { ...postriderEnv(database.url, servers.redisUrl), ...env };
  return withChildren(async (adopt) => {
    await reset(database, servers.redisUrl);
    const subscribers = await startSubscribers(behaviours, healthyMs, adopt);
    const { origin } = await startIngest(settings, adopt, profileDir);
    const workers: Child[] = [];
    const source: Fleet["source"] = (task) => startEventSource({ ...task, origin }, adopt);
    try {
      return await work({
        origin,
        subscribers,
        adopt,
        source,
        async subscribe(subscription) {
          const { id } = await post<{ id: string }>(origin, "/v1/subscriptions", subscription);
          return id;
        },
        async startWorkers() {
          await startReadyWorkers(WORKERS, (ADMIN_PORT) => {
            const worker = adopt(startWorker({ ...settings, ADMIN_PORT }, profileDir, workerScript));
            workers.push(worker);
            return worker;
          });
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
