import type { Offered } from "../processes/event-source.ts";
import type { Received } from "../processes/subscribers.ts";

/**
 * Receipts per second from when `skip` were there until the last.
 *
 * @param times ascending, milliseconds
 * @param untilMs when the wait ended, if not all arrived
 */
export function ratePerSecond(times: readonly number[], skip: number, untilMs = times.at(-1)): number {
  const from = times[skip];
  if (from === undefined || untilMs === undefined || untilMs <= from) return 0;
  return ((times.length - 1 - skip) / (untilMs - from)) * 1000;
}

/** The maximum number of receipts within one second. @param times ascending, milliseconds */
export function busiestSecond(times: readonly number[]): number {
  let max = 0;
  let first = 0;
  for (const [last, time] of times.entries()) {
    while (time - times[first]! >= 1000) first += 1;
    max = Math.max(max, last - first + 1);
  }
  return max;
}

/** Receipts in each of the first `seconds` seconds after the first. @param times ascending, milliseconds */
export function ramp(times: readonly number[], seconds: number): number[] {
  const counts = Array.from({ length: seconds }, () => 0);
  for (const time of times) {
    const second = Math.floor((time - times[0]!) / 1000);
    if (second < seconds) counts[second]! += 1;
  }
  return counts;
}

/** Each event's first receipt, in the order of arrival. */
export function firstReceipts({ ids, times }: Received): Map<string, number> {
  const first = new Map<string, number>();
  for (const [index, id] of ids.entries()) if (!first.has(id)) first.set(id, times[index]!);
  return first;
}

/**
 * Spearman's rank correlation (no ties) between the order of age and the order of receipt: 1 is oldest first, 0 is
 * none.
 *
 * @param ids distinct event ids in the order of receipt; they sort by age, because they begin with their time
 */
export function ageCorrelation(ids: readonly string[]): number {
  const n = ids.length;
  if (n < 2) return Number.NaN;
  const rankOf = new Map(ids.toSorted(byText).map((id, rank) => [id, rank]));
  let squares = 0;
  for (const [index, id] of ids.entries()) squares += (rankOf.get(id)! - index) ** 2;
  return 1 - (6 * squares) / (n * (n * n - 1));
}

/**
 * The share of neighbours in the order of receipt of which the first is the older.
 *
 * @param ids as in ageCorrelation()
 */
export function olderFirstShare(ids: readonly string[]): number {
  let inOrder = 0;
  for (let index = 1; index < ids.length; index += 1) if (ids[index - 1]! < ids[index]!) inOrder += 1;
  return inOrder / (ids.length - 1);
}

// By code units, as the ids are meant to sort; not by the conventions of a language.
const byText = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

/** How long events took, in milliseconds. */
export interface Latencies {
  /** From the moment the event was due to be posted. */
  fromPost: number[];
  /** From the arrival of its 202; negative if the receipt was earlier. */
  fromAccepted: number[];
  /** Not received by the end. Their latency counts up to then; leaving them out would flatter the figures. */
  missing: number;
}

/**
 * Joins posted events with receipts.
 *
 * @param isCounted whether an event counts, by when it was due and the number of its target
 * @param endMs when the wait ended, on the wall clock
 */
export function latencies(
  { ids, targets, sentTimes, acceptedTimes }: Offered,
  received: ReadonlyMap<string, number>,
  isCounted: (sentAt: number, target: number) => boolean,
  endMs: number,
): Latencies {
  const result: Latencies = { fromPost: [], fromAccepted: [], missing: 0 };
  for (const [index, id] of ids.entries()) {
    const sentAt = sentTimes[index]!;
    if (!isCounted(sentAt, targets[index]!)) continue;
    const receivedAt = received.get(id);
    if (receivedAt === undefined) result.missing += 1;
    result.fromPost.push((receivedAt ?? endMs) - sentAt);
    result.fromAccepted.push((receivedAt ?? endMs) - acceptedTimes[index]!);
  }
  return result;
}
