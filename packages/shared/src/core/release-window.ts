/**
 * Deliveries per second that a release begins with. With 1, a receiver that fails half of its requests after an outage has
 * a p95 of 334 s instead of 95 s; with 100, one that times out under load is shut 24 % of the time instead of 16 %.
 */
export const INITIAL_RATE = 4;
/** Deliveries per second at most: more than the window lets through. It bounds the doubling. */
const MAX_RATE = 5_000;

/** With more failures than this, the receiver may be overloaded. */
const FAILING_SHARE = 0.25;
/**
 * Growth per second while it fails. Slow growth gives the pace and the breaker time to judge; halving instead kept a
 * receiver that fails half of its requests at the first rate (at 100 events/s, 90 % delivered in half an hour, not 98 %).
 */
const GROWTH_WHILE_FAILING = 1.2;

/** What became of released deliveries in the last second. */
export interface Progress {
  completed: number;
  /** Of those, how many failed or were held again. */
  failed: number;
}

/**
 * Deliveries per second to release, judged once a second: doubled (a slow start, as of TCP, RFC 5681 section 3.1), or a
 * fifth more after a second in which many of them failed. The pace lowers it for an overloaded receiver.
 *
 * @param limit the lower of the subscription's rate limit and its pace, per second; null is none
 */
export function nextRate(rate: number, { completed, failed }: Progress, limit: number | null): number {
  const growth = failed > FAILING_SHARE * completed ? GROWTH_WHILE_FAILING : 2;
  const next = Math.min(MAX_RATE, growth * rate);
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
