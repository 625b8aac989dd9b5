import { parseDuration } from "../duration.ts";

/** Delays before each retry, in milliseconds; its length is the number of retries. */
export type RetrySchedule = readonly number[];

export const DEFAULT_RETRY_SCHEDULE: RetrySchedule = [2_000, 4_000, 8_000, 16_000, 32_000];

/** The delays that the Standard Webhooks specification recommends: 5 s to 24 h, nine retries over about three days. */
const STANDARD_RETRY_SCHEDULE: RetrySchedule = ["5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h"].map(
  (delay) => parseDuration(delay)!,
);

export const MAX_RETRIES = 50;
export const MAX_RETRY_DELAY_MS = 7 * 86_400_000;
/** `Retry-After` can lengthen a delay up to this; otherwise a subscriber could postpone its deliveries for ever. */
export const MAX_RETRY_AFTER_MS = 3_600_000;

/**
 * Parses a retry schedule: the preset `standard`, or a list of durations such as `["2s", "4s"]`.
 *
 * @returns the delays in milliseconds, or a sentence that describes the error
 */
export function parseRetrySchedule(value: string | readonly string[]): RetrySchedule | { problem: string } {
  if (value === "standard") return STANDARD_RETRY_SCHEDULE;
  if (typeof value === "string") return { problem: 'must be "standard" or a list of durations such as 2s, 5m, 1h' };
  if (value.length > MAX_RETRIES) return { problem: `must have at most ${MAX_RETRIES} delays` };
  const delays: number[] = [];
  for (const text of value) {
    const ms = parseDuration(text);
    if (ms === undefined) return { problem: `"${text}" is not a duration (write 250ms, 2s, 5m, 1h)` };
    if (ms > MAX_RETRY_DELAY_MS) return { problem: `"${text}" is longer than 7d` };
    delays.push(ms);
  }
  return delays;
}

/**
 * The delay before the next retry: the schedule's delay with 0 to +10 % jitter, which `Retry-After` can only lengthen.
 *
 * @param step how many attempts of this cycle have counted against the schedule, including the one that just failed
 * @param random in [0, 1)
 * @returns milliseconds; undefined when the schedule is exhausted
 */
export function nextRetryDelay(
  schedule: RetrySchedule,
  step: number,
  random: number,
  retryAfterMs?: number,
): number | undefined {
  const delay = schedule[step - 1];
  if (delay === undefined) return undefined;
  const jittered = Math.round(delay * (1 + 0.1 * random));
  return Math.max(jittered, Math.min(retryAfterMs ?? 0, MAX_RETRY_AFTER_MS));
}
