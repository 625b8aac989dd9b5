/**
 * How many requests a subscription that is not proven may have under way in one worker. It is TCP's congestion window
 * (RFC 5681, 3.1) with an answer as the acknowledgement and a timeout as the loss, and with the comparison of TCP Vegas:
 * a receiver whose answers take no longer than before has room for more.
 *
 * The figures are of the simulation in tests/model/receivers, for a receiver that times out under load and gets 1.3
 * times its capacity, 1 event/s on four workers: it uses 94 % of its capacity.
 */
export interface TrialWindow {
  /** Requests; a fraction is a part of the next one. */
  size: number;
  /** Below it an answer doubles the window. Half of the size at the last timeout; without one Infinity. */
  threshold: number;
  /** When it was last halved, in the clock of the requests. */
  halvedAt: number;
  /** The shortest time that a success took, in milliseconds; it rises a little with each success. */
  fastestMs: number;
}

export const FIRST_WINDOW: TrialWindow = {
  size: 1,
  threshold: Number.POSITIVE_INFINITY,
  halvedAt: Number.NEGATIVE_INFINITY,
  fastestMs: Number.POSITIVE_INFINITY,
};

/** An answer that takes this many times as long as the fastest success is late. With 2, 93 %. */
const LATE = 1.5;
/** A timeout is forgotten after this. The receiver may just have become slower, and get its `maxInFlight` again. */
const REMEMBER_MS = 15 * 60_000;
/**
 * The fastest success is forgotten slowly, by half in 350 successes, so that a single quick one doesn't count for ever.
 * With 1.01, 90 %.
 */
const FORGETS = 1.002;

/**
 * The window after an answer, whatever it says. A late one adds one request per round, and nothing once there has been a
 * timeout: if it added one then as well, 58 %.
 *
 * @param max `maxInFlight`
 */
export function afterAnswer(
  window: TrialWindow,
  { tookMs, isSuccess }: { tookMs: number; isSuccess: boolean },
  max: number,
  now: number,
): TrialWindow {
  const { size } = window;
  const threshold = now - window.halvedAt > REMEMBER_MS ? Number.POSITIVE_INFINITY : window.threshold;
  // A refusal is often quicker than any work.
  const fastestMs = isSuccess ? Math.min(window.fastestMs * FORGETS, tookMs) : window.fastestMs;
  const isLate = tookMs > LATE * fastestMs;
  if (isLate && threshold < Number.POSITIVE_INFINITY) return { ...window, fastestMs };
  const grown = isLate || size >= threshold ? size + 1 / size : Math.min(2 * size, Math.max(threshold, size + 1));
  return { ...window, threshold, fastestMs, size: Math.min(grown, max) };
}

/**
 * The window after a timeout: half. Of the requests that were under way together only the first timeout counts. With
 * doubling and without halving, 28 %.
 */
export function afterTimeout(window: TrialWindow, sentAt: number, now: number): TrialWindow {
  if (sentAt < window.halvedAt) return window;
  const size = Math.max(1, window.size / 2);
  return { ...window, size, threshold: size, halvedAt: now };
}
