/** What has become of released deliveries since the last look. */
export interface Seen {
  /** Attempted, or settled otherwise. */
  through: number;
  /** Held again without an attempt: the subscriber's budget did not suffice. */
  cameBack: number;
  /** The breaker's failures in a row. */
  failures: number;
}

/** The first window: one delivery at a time. */
export const GENTLE = 1;

/**
 * How many released deliveries may be on their way at once. It begins with one, grows by one for each that comes
 * through, which doubles it every round (the slow start of TCP, RFC 5681 section 3.1), stands still while attempts
 * fail, and halves where deliveries come back for want of budget.
 */
export function nextWindow(window: number, { through, cameBack, failures }: Seen, most: number): number {
  if (cameBack > 0) return Math.max(GENTLE, Math.min(most, Math.floor(window / 2)));
  if (failures > 0) return Math.min(most, window);
  return Math.min(most, window + through);
}

/**
 * The largest window of a subscription. With a rate limit it is what the limit lets through in 0.8 s, so that what is
 * released waits in the workers for less than the second after which they would hold it again. Without one it is four
 * workers' worth of `maxInFlight`: enough to keep a small fleet busy with it, and no flood.
 */
export const mostOf = (rateLimit: number | null, maxInFlight: number): number =>
  rateLimit === null ? 4 * maxInFlight : Math.max(GENTLE, Math.floor(0.8 * rateLimit));
