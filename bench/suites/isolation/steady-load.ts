import { setTimeout as sleep } from "node:timers/promises";
import type { EventSource } from "../../support/event-source.ts";
import type { Fleet } from "../../support/fleet.ts";
import { firstReceipts, latencies } from "../../support/receipts.ts";
import type { Figures } from "../../support/rounds.ts";
import { percentile } from "../../support/statistics.ts";
import { holdsWithin } from "../../support/until.ts";
import { wallClock } from "../../support/wall-clock.ts";

/** Beside the time that posting takes. */
const POST_DEADLINE_MS = 60_000;
const POLL_MS = 100;

export interface SteadyTimes {
  warmUpMs: number;
  measureMs: number;
  /** After the last was posted; what has not come by then counts with the time that was waited for it. */
  patienceMs: number;
}

/**
 * Lets a source post at its own rate and measures how long its events take.
 *
 * @param counted how many targets, and subscribers, are looked at: the first ones. They are healthy
 * @param expected how many events those are posted
 * @param afterWarmUp begins when the measuring does
 */
export async function measureLatencies(
  fleet: Fleet,
  source: EventSource,
  { counted, expected }: { counted: number; expected: number },
  { warmUpMs, measureMs, patienceMs }: SteadyTimes,
  afterWarmUp: () => void = () => undefined,
): Promise<Figures> {
  source.go();
  const measuredFrom = wallClock() + warmUpMs;
  await sleep(warmUpMs);
  afterWarmUp();
  const offered = await source.done(measureMs + POST_DEADLINE_MS);
  await holdsWithin(patienceMs, POLL_MS, async () => (await fleet.subscribers.received(counted)) >= expected);
  const endMs = wallClock();
  const received = firstReceipts(await fleet.subscribers.report());
  const counts = (sentAt: number, target: number) => sentAt >= measuredFrom && target < counted;
  const { fromPost, fromAccepted, missing } = latencies(offered, received, counts, endMs);
  return {
    events: fromPost.length,
    p50: percentile(fromPost, 0.5),
    p99: percentile(fromPost, 0.99),
    "p50 accepted": percentile(fromAccepted, 0.5),
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
