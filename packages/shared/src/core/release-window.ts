/** Deliveries per second that a release begins with, and the fewest that it goes down to. */
export const INITIAL_RATE = 4;
/** Deliveries per second at most: what a small fleet delivers. */
const MAX_RATE = 5_000;

/** What became of released deliveries in the last second. */
export interface Progress {
  /** An attempt of the subscription failed. */
  hasFailed: boolean;
  /** Released deliveries were held again without an attempt, because the subscription was saturated. */
  wasSaturated: boolean;
}

/**
 * Deliveries per second to release, judged once a second: doubled in a second without trouble (a slow start, as of TCP,
 * RFC 5681 section 3.1), halved in a second with some.
 *
 * @param limit the lower of the subscription's rate limit and its pace, per second; null is none
 */
export function nextRate(rate: number, { hasFailed, wasSaturated }: Progress, limit: number | null): number {
  const next = hasFailed || wasSaturated ? Math.max(INITIAL_RATE, rate / 2) : Math.min(MAX_RATE, 2 * rate);
  return limit === null ? next : Math.min(next, Math.max(1, limit));
}

/**
 * How many released deliveries may be on their way at once. Under a rate limit that is what the limit allows in 0.8 s,
 * so that they wait in the workers for less than the second after which they would be held again. Without one it is
 * four times `maxInFlight`: enough to keep a small fleet busy, and no flood.
 */
export const maxOnTheWay = (limit: number | null, maxInFlight: number): number =>
  limit === null ? 4 * maxInFlight : Math.max(1, Math.floor(0.8 * limit));
