/** The state of a release since it was last polled. */
export interface Progress {
  /** Released deliveries that were attempted or have settled. */
  completed: number;
  /** Released deliveries that were held again without an attempt, because the subscription was saturated. */
  reheld: number;
  /** The breaker's failures in a row. */
  failures: number;
}

/** The first window, and the smallest: one delivery at a time. */
export const INITIAL_WINDOW = 1;

/**
 * The release window: how many released deliveries may be on their way at once. It starts at one and grows by one per
 * completed delivery, so it doubles every round (the slow start of TCP, RFC 5681 section 3.1). It stays unchanged while
 * attempts fail, and halves when deliveries are held again.
 */
export function nextWindow(window: number, { completed, reheld, failures }: Progress, max: number): number {
  if (reheld > 0) return Math.max(INITIAL_WINDOW, Math.min(max, Math.floor(window / 2)));
  if (failures > 0) return Math.min(max, window);
  return Math.min(max, window + completed);
}

/**
 * The largest window of a subscription. With a rate limit it is the limit's requests in 0.8 s, because released
 * deliveries that wait longer than a second in a worker are held again. Without one it is four times `maxInFlight`,
 * enough to keep a small fleet busy.
 */
export const maxWindow = (rateLimit: number | null, maxInFlight: number): number =>
  rateLimit === null ? 4 * maxInFlight : Math.max(INITIAL_WINDOW, Math.floor(0.8 * rateLimit));
