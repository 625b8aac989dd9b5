import { patience } from "@postrider/testkit/wait.ts";
import { percentile } from "../bench/support/statistics.ts";
import type { Evidence } from "./evidence.ts";

/** Milliseconds; NaN where there are none. */
export interface Percentiles {
  count: number;
  p50: number;
  p99: number;
  max: number;
}

export interface Latency {
  /** From the 202 to the first receipt, of deliveries that their subscriber accepted at once. */
  unbroken: Percentiles;
  /** The same of all received deliveries of accepted events. */
  all: Percentiles;
  /** From the end of the last fault to the last receipt of an event that was accepted before it ended. */
  tailMs: number | undefined;
}

/**
 * What a run may take at most, in milliseconds. With the default load and two workers, the 15 faults of processes,
 * servers and receivers, and seed 5, on a busy machine of two cores: under 50, 4,800, 5,100, 8,200 and 1,500. An outage of
 * Redis takes up to 5 s of that by itself.
 */
const BOUNDS = { unbrokenP50: 500, unbrokenP99: 12_000, p99: 20_000, max: 45_000, tail: 30_000 } as const;

/** @returns a sentence for each bound that was exceeded; a busy machine has more time (POSTRIDER_TEST_PATIENCE) */
export function boundsExceeded({ unbroken, all, tailMs }: Latency): string[] {
  const measured = {
    unbrokenP50: ["half of the deliveries to working subscribers", unbroken.p50],
    unbrokenP99: ["99 % of the deliveries to working subscribers", unbroken.p99],
    p99: ["99 % of the deliveries", all.p99],
    max: ["the slowest delivery", all.max],
    tail: ["the last delivery after the last fault", tailMs ?? 0],
  } as const;
  return Object.entries(measured).flatMap(([name, [what, ms]]) => {
    const bound = patience(BOUNDS[name as keyof typeof BOUNDS]);
    return ms > bound ? [`too slow: ${what} took ${Math.round(ms)} ms, and ${bound} ms is the bound`] : [];
  });
}

/** How long deliveries took. */
export function measureLatency({ accepted, receipts, refusals, subscribers, faults }: Evidence): Latency {
  const numberOf = new Map(subscribers.map(({ id }, number) => [id, number]));
  const refused = new Set(refusals.map(({ event, subscription }) => `${event} ${subscription}`));
  const lastFaultEndedAt = faults.at(-1)?.endedAt;
  const received = new Set<string>();
  const all: number[] = [];
  const unbroken: number[] = [];
  let tailMs: number | undefined;
  for (const { event, subscription, at } of receipts.toSorted((a, b) => a.at - b.at)) {
    const pair = `${event} ${subscription}`;
    const acceptedAt = accepted.get(event)?.acceptedAt;
    if (acceptedAt === undefined || received.has(pair)) continue;
    received.add(pair);
    // A delivery may arrive before its 202 does.
    const tookMs = Math.max(0, at - acceptedAt);
    all.push(tookMs);
    const wasBroken = faults.some(
      ({ startedAt, endedAt, brokenSubscribers }) =>
        brokenSubscribers[numberOf.get(subscription)!] === true && startedAt <= at && acceptedAt <= endedAt,
    );
    if (!wasBroken && !refused.has(pair)) unbroken.push(tookMs);
    if (lastFaultEndedAt !== undefined && acceptedAt <= lastFaultEndedAt) tailMs = Math.max(0, at - lastFaultEndedAt);
  }
  return { unbroken: summarise(unbroken), all: summarise(all), tailMs };
}

const summarise = (values: readonly number[]): Percentiles => ({
  count: values.length,
  p50: percentile(values, 0.5),
  p99: percentile(values, 0.99),
  max: percentile(values, 1),
});
