/** The state of a release since it was last polled. */
export interface Progress {
  /** Released deliveries that were attempted, or settled otherwise. */
  completed: number;
  /** Released deliveries that were held again without an attempt, because the subscription was saturated. */
  reheld: number;
  /** The breaker's failures in a row. */
  failures: number;
}

/** The first window, and the smallest: one delivery at a time. */
export const INITIAL_WINDOW = 1;

/**
 * The release window: how many released deliveries may be on their way at once. It begins with one and grows by one for
 * each that completes, which doubles it every round (the slow start of TCP, RFC 5681 section 3.1). It stays while
 * attempts fail, and halves when deliveries are held again.
 */
export function nextWindow(window: number, { completed, reheld, failures }: Progress, max: number): number {
  if (reheld > 0) return Math.max(INITIAL_WINDOW, Math.min(max, Math.floor(window / 2)));
  if (failures > 0) return Math.min(max, window);
  return Math.min(max, window + completed);
}

/**
 * The largest window of a subscription. With a rate limit it is what the limit allows in 0.8 s, so that released
 * deliveries wait in the workers for less than the second after which they would be held again. Without one it is
 * four times `maxInFlight`: enough to keep a small fleet busy, and no flood.
 */
export const maxWindow = (rateLimit: number | null, maxInFlight: number): number =>
  rateLimit === null ? 4 * maxInFlight : Math.max(INITIAL_WINDOW, Math.floor(0.8 * rateLimit));
