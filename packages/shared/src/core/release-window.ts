/** Deliveries per second that a release begins with, and the fewest that it goes down to. */
export const INITIAL_RATE = 4;
/** Deliveries per second at most: what a small fleet delivers. */
const MAX_RATE = 5_000;

/** More failures than this are taken for overload: a flaky receiver fails as often at any rate. */
const OVERLOADED_SHARE = 0.25;

/** What became of released deliveries in the last second. */
export interface Progress {
  completed: number;
  /** Of those, how many failed or were held again. */
  failed: number;
}

/**
 * Deliveries per second to release, judged once a second: doubled in a second without overload (a slow start, as of
 * TCP, RFC 5681 section 3.1), halved in a second with it.
 *
 * @param limit the lower of the subscription's rate limit and its pace, per second; null is none
 */
export function nextRate(rate: number, { completed, failed }: Progress, limit: number | null): number {
  const isOverloaded = failed > OVERLOADED_SHARE * completed;
  const next = isOverloaded ? Math.max(INITIAL_RATE, rate / 2) : Math.min(MAX_RATE, 2 * rate);
  return limit === null ? next : Math.min(next, Math.max(1, limit));
}

/** What lets a subscription's released deliveries through. */
export interface Passage {
  /** As for nextRate(). */
  limit: number | null;
  /** Per worker. */
  maxInFlight: number;
  workers: number;
  /** Released deliveries that left `pending` since the last round. */
  completed: number;
  /** Time until the deliveries of the next round have reached the workers. */
  aheadMs: number;
}

/**
 * How many released deliveries may be on their way at once, so that the workers always have the next one and no
 * backlog. Each slot that `maxInFlight` allows has one under way and one waiting; fast requests need more, at most twice
 * what the last round completed. A limit bounds it to what it lets through until the next round has arrived, at least
 * two: one that is sent and one that waits for its token.
 */
export function maxOnTheWay({ limit, maxInFlight, workers, completed, aheadMs }: Passage): number {
  const byRequests = 2 * maxInFlight * workers + 2 * completed;
  const byLimit = limit === null ? Number.POSITIVE_INFINITY : Math.max(2, Math.ceil((limit * aheadMs) / 1_000));
  return Math.min(byRequests, byLimit);
}
