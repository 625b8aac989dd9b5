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

/** How long deliveries took. The ledger sets no bounds for it. */
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
