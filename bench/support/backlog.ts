import { holdsWithin } from "@postrider/testkit/wait.ts";
import type { Target } from "../processes/event-source.ts";
import { cpuPerEvent } from "./cpu.ts";
import type { Database } from "./database.ts";
import type { Fleet } from "./fleet.ts";
import { firstReceipts, ratePerSecond } from "./receipts.ts";
import type { Figures } from "./rounds.ts";
import { wallClock } from "./wall-clock.ts";

/** More than can be delivered at once. */
interface Backlog {
  /** One turn of events, posted in one request. */
  targets: readonly Target[];
  turns: number;
  /** How many of a turn's events are for healthy subscribers. */
  healthy: number;
  /** From the moment of the workers' start; missing events count as not received. */
  withinMs: number;
}

const CONNECTIONS = 4;
/** Receipts that don't count: new processes are slower, and connection pools have to fill. */
const WARM_UP_SHARE = 0.15;
const QUEUE_DEADLINE_MS = 120_000;
const POLL_MS = 50;

/** Queues a backlog and lets the workers drain it, with nothing else competing for the processors. */
export async function drainBacklog(fleet: Fleet, database: Database, backlog: Backlog): Promise<Figures> {
  const { targets, turns } = backlog;
  const events = targets.length * turns;
  const { accepted } = await fleet.queue({ targets, events, eventsPerRequest: targets.length }, QUEUE_DEADLINE_MS);
  if (accepted !== events) throw new Error(`${accepted} of ${events} events were accepted`);
  // Otherwise a checkpoint or autovacuum would slow down one of the contenders.
  await database.run("vacuum analyze events, deliveries");
  await database.run("checkpoint");
  await fleet.startWorkers();
  return follow(fleet, backlog);
}

/**
 * Posts events as fast as ingest takes them, to measure the rate of accepting and delivering at the same time.
 *
 * @param eventsPerRequest as in the load that is measured against it, because smaller requests cost more per event
 * @returns healthy deliveries per second
 */
export async function measureCapacity(
  fleet: Fleet,
  backlog: Backlog,
  eventsPerRequest = backlog.targets.length,
): Promise<number> {
  const { targets, turns } = backlog;
  await fleet.startWorkers();
  const source = await fleet.source({
    targets,
    events: targets.length * turns,
    eventsPerRequest,
    connections: CONNECTIONS,
    isTraced: false,
  });
  source.go();
  const { "delivered/s": capacity, missing } = await follow(fleet, backlog);
  if (!capacity || missing)
    throw new Error(`of ${targets.length * turns} events ${missing} were not delivered in time`);
  await source.done(QUEUE_DEADLINE_MS);
  return capacity;
}

/** Figures of the healthy deliveries, with all processor time divided by their number. */
async function follow(fleet: Fleet, { turns, healthy, withinMs }: Backlog): Promise<Figures> {
  const expected = healthy * turns;
  const areAllThere = async () => (await fleet.subscribers.received()) >= expected;
  const cpuBefore = fleet.readCpu();
  const isComplete = await holdsWithin(withinMs, POLL_MS, areAllThere);
  const cpuAfter = fleet.readCpu();
  const stoppedAt = wallClock();
  const times = [...firstReceipts(await fleet.subscribers.report()).values()];
  const warmUp = Math.floor(expected * WARM_UP_SHARE);
  return {
    "delivered/s": ratePerSecond(times, warmUp, isComplete ? times.at(-1) : stoppedAt),
    missing: expected - times.length,
    ...cpuPerEvent(cpuBefore, cpuAfter, times.length),
  };
}
