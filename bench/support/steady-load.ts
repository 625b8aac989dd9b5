import { setTimeout as sleep } from "node:timers/promises";
import { holdsWithin } from "@postrider/testkit/wait.ts";
import { cpuPerEvent } from "./cpu.ts";
import type { EventSource } from "./event-source.ts";
import type { System } from "./fleet.ts";
import { firstReceipts, latencies } from "./receipts.ts";
import type { Figures } from "./rounds.ts";
import { percentile } from "./statistics.ts";
import { wallClock } from "./wall-clock.ts";

/** On top of the time for posting. */
const POST_DEADLINE_MS = 60_000;
const POLL_MS = 100;

export interface SteadyTimes {
  warmUpMs: number;
  measureMs: number;
  /** After the last post; events that are missing by then count with the time until then. */
  patienceMs: number;
}

/**
 * Lets a source post at its own rate and measures how long its events take.
 *
 * @param counted how many targets and subscribers count: the first ones, which are healthy
 * @param expected the number of their events; undefined if all targets count, for all accepted events
 * @param moments called at the start and the end of the measurement
 */
export async function measureLatencies(
  { subscribers, readCpu }: Pick<System, "subscribers"> & Partial<Pick<System, "readCpu">>,
  source: EventSource,
  { counted, expected }: { counted: number; expected?: number },
  { warmUpMs, measureMs, patienceMs }: SteadyTimes,
  { begin, end }: { begin?: () => unknown; end?: () => unknown } = {},
): Promise<Figures> {
  source.go();
  await sleep(warmUpMs);
  const measuredFrom = wallClock();
  await begin?.();
  const cpuBefore = readCpu?.();
  const offered = await source.done(measureMs + POST_DEADLINE_MS);
  const measuredTo = wallClock();
  const cpuAfter = readCpu?.();
  await end?.();
  const awaited = expected ?? offered.accepted;
  await holdsWithin(patienceMs, POLL_MS, async () => (await subscribers.received(counted)) >= awaited);
  const endMs = wallClock();
  const received = firstReceipts(await subscribers.report());
  const counts = (sentAt: number, target: number) => sentAt >= measuredFrom && target < counted;
  const { fromPost, fromAccepted, missing } = latencies(offered, received, counts, endMs);
  const receipts = [...received.values()].filter((time) => time >= measuredFrom && time < measuredTo).length;
  return {
    events: fromPost.length,
    receipts,
    ...cpuPerEvent(cpuBefore, cpuAfter, receipts),
    "delivered/s": (receipts / (measuredTo - measuredFrom)) * 1000,
    p50: percentile(fromPost, 0.5),
    p95: percentile(fromPost, 0.95),
    p99: percentile(fromPost, 0.99),
    "p50 accepted": percentile(fromAccepted, 0.5),
    "p95 accepted": percentile(fromAccepted, 0.95),
    "p99 accepted": percentile(fromAccepted, 0.99),
    refused: offered.refused,
    missing,
  };
}

export const LATENCY_COLUMNS = [
  { metric: "p50", label: "p50 ms from POST", digits: 1 },
  { metric: "p99", label: "p99 ms from POST", digits: 1 },
  { metric: "p50 accepted", label: "p50 ms from 202", digits: 1 },
  { metric: "p99 accepted", label: "p99 ms from 202", digits: 1 },
  { metric: "missing", label: "not received in time", digits: 0 },
  { metric: "refused", label: "answered 503", digits: 0 },
  { metric: "events", label: "events", digits: 0 },
];

/** All processor time, whatever its purpose, per counted delivery. */
export const CPU_COLUMNS = [
  { metric: "cpu ingest", label: "ingest µs CPU/delivery", digits: 0 },
  { metric: "cpu worker", label: "workers µs", digits: 0 },
  { metric: "cpu postgres", label: "Postgres µs", digits: 0 },
  { metric: "cpu redis", label: "Redis µs", digits: 0 },
  { metric: "cpu receiver", label: "subscribers µs", digits: 0 },
];
