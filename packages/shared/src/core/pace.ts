/**
 * The pace of a subscription: a rate limit for the whole fleet that Postrider sets when a receiver fails because of its
 * load. This reducer is the specification; `breaker.lua` is the implementation that the fleet shares, and a model test
 * compares them.
 *
 * Attempts are judged in intervals. After three intervals with more than half failed, the pace becomes 1.2 times the
 * rate of successes. It grows in good intervals, and ends after several of them with nothing waiting. If half the rate
 * fails as often, load is not the cause, and no pace starts for a while.
 */
export interface Pace {
  /** Requests per second for the fleet; 0 is no pace. */
  rate: number;
  /** Start of the current interval, Unix milliseconds; 0 is none. `answers` and `failures` count its attempts. */
  since: number;
  answers: number;
  failures: number;
  /** Whether deliveries waited in this interval. */
  isWaiting: boolean;
  /** Without a pace: consecutive bad intervals. With one: consecutive good intervals with nothing waiting. */
  streak: number;
  /** Share of failures and requests per second in the interval that started the pace. */
  shareBefore: number;
  rateBefore: number;
  /** No pace starts before this time, Unix milliseconds. */
  immuneUntil: number;
}

export const NO_PACE: Pace = {
  rate: 0,
  since: 0,
  answers: 0,
  failures: 0,
  isWaiting: false,
  streak: 0,
  shareBefore: 0,
  rateBefore: 0,
  immuneUntil: 0,
};

/** Outcomes of attempts: a 408, 425, 429, 5xx, timeout or connection error is a failure, any other response a success. */
export interface Answers {
  successes: number;
  failures: number;
  isWaiting: boolean;
}

/** Requests per second of the fleet below which nothing is paced: there are too few answers to judge by. */
const MIN_RATE = 2;
/** An interval ends with this many answers but not before `minMs`, and at `maxMs` with any number. */
const INTERVAL = { answers: 20, minMs: 2_000, maxMs: 30_000 };
/** An interval older than this began before a pause in traffic, and is discarded. */
const STALE_MS = 60_000;
const BAD_SHARE = 0.5;
const BAD_INTERVALS = 3;
/** How much more than what succeeded is asked for: enough to find a receiver's capacity, and a fifth of waste. */
const HEADROOM = 1.2;
const GOOD_INTERVALS = 6;
const IMMUNE_MS = 5 * 60_000;

/**
 * The pace after some answers.
 *
 * @param now Unix milliseconds
 */
export function reducePace(pace: Pace, { successes, failures, isWaiting }: Answers, now: number): Pace {
  const isNew = pace.since === 0 || now - pace.since > STALE_MS;
  const counted: Pace = {
    ...pace,
    since: isNew ? now : pace.since,
    answers: (isNew ? 0 : pace.answers) + successes + failures,
    failures: (isNew ? 0 : pace.failures) + failures,
    isWaiting: (isNew ? false : pace.isWaiting) || isWaiting,
  };
  const elapsedMs = now - counted.since;
  const isOver = elapsedMs >= INTERVAL.maxMs || (elapsedMs >= INTERVAL.minMs && counted.answers >= INTERVAL.answers);
  return isOver ? judge(counted, elapsedMs / 1_000, now) : counted;
}

function judge(pace: Pace, seconds: number, now: number): Pace {
  const share = pace.failures / pace.answers;
  const rate = pace.answers / seconds;
  const succeeded = (pace.answers - pace.failures) / seconds;
  const next: Pace = { ...pace, since: now, answers: 0, failures: 0, isWaiting: false };
  if (pace.rate === 0) {
    const streak = share > BAD_SHARE ? pace.streak + 1 : 0;
    const starts = streak >= BAD_INTERVALS && now > pace.immuneUntil && rate > MIN_RATE;
    if (!starts) return { ...next, streak };
    return { ...next, rate: Math.max(MIN_RATE, HEADROOM * succeeded), shareBefore: share, rateBefore: rate, streak: 0 };
  }
  const failsAsBefore = share > 0.4 && rate <= 0.5 * pace.rateBefore && share >= 0.8 * pace.shareBefore;
  if (failsAsBefore) return { ...NO_PACE, since: now, immuneUntil: now + IMMUNE_MS };
  const streak = share <= 0.25 && !pace.isWaiting ? pace.streak + 1 : 0;
  if (streak >= GOOD_INTERVALS) return { ...NO_PACE, since: now };
  return { ...next, streak, rate: adjusted(pace.rate, share, succeeded) };
}

function adjusted(rate: number, share: number, succeeded: number): number {
  if (share <= 0.1) return 1.5 * rate;
  if (share <= 0.3) return 1.1 * rate;
  if (share <= 0.4) return Math.max(MIN_RATE, 0.95 * rate);
  return Math.max(MIN_RATE, HEADROOM * succeeded);
}
