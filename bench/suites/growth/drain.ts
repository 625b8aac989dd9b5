import { holdsWithin } from "@postrider/testkit/wait.ts";
import type { Target } from "../../processes/event-source.ts";
import type { Behaviour } from "../../processes/subscribers.ts";
import { cpuPerEvent } from "../../support/cpu.ts";
import type { Database } from "../../support/database.ts";
import type { Fleet } from "../../support/fleet.ts";
import type { Column, Figures } from "../../support/rounds.ts";
import { wallClock } from "../../support/wall-clock.ts";

/** A backlog, and the workers that drain it. */
export interface Load {
  deliveries: number;
  /** Subscriptions that want each event. */
  fanOut: number;
  tenants: number;
  /** Event types, posted in turn; each has its own subscriptions. */
  kinds: number;
  workers: number;
  /** Of each event's data; undefined for the payloads as they are. */
  payloadBytes?: number;
}

/** Fewer subscriptions would not fill a worker's slots, 32 of them each. */
export const USUAL = { fanOut: 1, tenants: 8, kinds: 8, workers: 1 } as const;

/** Ports that answer; subscriptions share them, each with a path of its own. */
const PORTS = 8;
export const BEHAVIOURS = Array.from({ length: PORTS }, (): Behaviour => "healthy");
const DELIVERIES_PER_REQUEST = 100;
/** Receipts that don't count, because a new process is slower. */
const WARM_UP_SHARE = 0.33;
const SUBSCRIBING_AT_ONCE = 16;
const QUEUE_DEADLINE_MS = 600_000;
const DRAIN_DEADLINE_MS = 180_000;
const POLL_MS = 50;

/** Posts the backlog. */
export async function queueBacklog(fleet: Fleet, load: Load): Promise<void> {
  const { deliveries, fanOut, payloadBytes } = load;
  const targets = targetsOf(load);
  const events = Math.ceil(deliveries / fanOut);
  const eventsPerRequest = Math.max(1, Math.floor(DELIVERIES_PER_REQUEST / fanOut));
  const task = { targets, events, eventsPerRequest, ...(payloadBytes === undefined ? {} : { payloadBytes }) };
  const { accepted } = await fleet.queue(task, QUEUE_DEADLINE_MS);
  if (accepted < events) throw new Error(`${accepted} of ${events} events were accepted`);
}

const targetsOf = ({ tenants, kinds }: Load): Target[] =>
  Array.from({ length: kinds }, (_, number) => ({
    tenant: `tenant-${number % tenants}`,
    type: `bench.event-${number}`,
    number,
  }));

/** Makes the subscriptions of the load. */
export async function subscribeAll(fleet: Fleet, load: Load): Promise<void> {
  const wanted = targetsOf(load).flatMap(({ tenant, type, number }) =>
    Array.from({ length: load.fanOut }, (_, index) => ({
      tenant,
      url: `${fleet.subscribers.urls[(number + index) % PORTS]!}/${number}-${index}`,
      eventTypes: [type],
    })),
  );
  const queue = wanted.values();
  const subscribe = async () => {
    for (const subscription of queue) await fleet.subscribe(subscription);
  };
  await Promise.all(Array.from({ length: SUBSCRIBING_AT_ONCE }, subscribe));
}

/**
 * Starts the workers and lets them deliver.
 *
 * @param deliveries to measure, including the warm-up; the backlog may be larger
 */
export async function drain(
  fleet: Fleet,
  database: Database,
  { deliveries, workers }: Pick<Load, "deliveries" | "workers">,
): Promise<Figures> {
  // Otherwise a checkpoint or autovacuum would slow down one of the contenders.
  await database.run("vacuum analyze events, deliveries");
  await database.run("checkpoint");
  const receivedBefore = await fleet.subscribers.received();
  const isReceived = async (count: number) => (await fleet.subscribers.received()) - receivedBefore >= count;
  const reading = async () => ({
    at: wallClock(),
    received: await fleet.subscribers.received(),
    cpu: fleet.readCpu(),
    sql: await database.countStatements(),
  });
  await fleet.startWorkers(workers);
  const isWarm = await holdsWithin(DRAIN_DEADLINE_MS, POLL_MS, () => isReceived(deliveries * WARM_UP_SHARE));
  const before = await reading();
  const isComplete = isWarm && (await holdsWithin(DRAIN_DEADLINE_MS, POLL_MS, () => isReceived(deliveries)));
  const after = await reading();
  await fleet.stopWorkers();
  const received = after.received - before.received;
  if (!isComplete || received <= 0) {
    throw new Error(`${after.received - receivedBefore} of ${deliveries} deliveries were received in time`);
  }
  return {
    "delivered/s": (received / (after.at - before.at)) * 1000,
    ...cpuPerEvent(before.cpu, after.cpu, received),
    sql: (after.sql - before.sql) / received,
  };
}

export const columns = ({ unit }: Database): Column[] => [
  { metric: "delivered/s", label: "delivered/s", digits: 0 },
  { metric: "cpu worker", label: "worker µs CPU/delivery", digits: 0 },
  { metric: "cpu postgres", label: "Postgres µs", digits: 0 },
  { metric: "cpu redis", label: "Redis µs", digits: 0 },
  { metric: "sql", label: `SQL ${unit}/delivery`, digits: 3 },
];
