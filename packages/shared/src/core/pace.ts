/**
 * The pace of a subscription: a rate limit for the whole fleet that Postrider sets when a receiver fails because of its
 * load. This reducer is the specification; `breaker.lua` is the implementation that the fleet shares, and a model test
 * compares them.
 *
 * Attempts are judged in intervals. After three intervals with more than half failed, the pace becomes 1.2 times the
 * rate of successes. It grows in good intervals, and ends after a good one in which nothing waited or the pace was over
 * twice the measured rate. If half the rate fails as often, load is not the cause, and no pace starts for a while.
 */
export interface Pace {
  /** Requests per second for the fleet; 0 is no pace. */
  rate: number;
  /** Start of the current interval, Unix milliseconds; 0 is none. `answers` and `failures` count its attempts. */
  since: number;
  answers: number;
  failures: number;
  /** Whether deliveries waited in this interval, for the pace or another limit. */
  isWaiting: boolean;
  /** Consecutive bad intervals without a pace. */
  badIntervals: number;
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
  badIntervals: 0,
  shareBefore: 0,
  rateBefore: 0,
  immuneUntil: 0,
};

/**
 * Outcomes of attempts: a 408, 425, 429, 5xx, redirect, timeout or connection error is a failure, any other response a
 * success.
 */
export interface Answers {
  successes: number;
  failures: number;
  isWaiting: boolean;
}

// The figures below are of the simulation in tests/model/receivers, with one number changed at a time.

/**
 * Requests per second for the fleet below which nothing is paced. With 0.5, a receiver that fails half of one event/s
 * has a p95 of 800 s instead of 86 s; with 10, 37 % of 10 events/s are dead at four times the receiver's capacity.
 */
const MIN_RATE = 2;
/**
 * An interval ends with this many answers but not before `minMs`, and at `maxMs` with any number. With 100 answers, or
 * 5 s at most, 48 % are dead instead of 5 % at twice the capacity and one event/s. With 10 s at least, a receiver that
 * goes down at 100 events/s gets 2,110 requests instead of 764 until the breaker opens.
 */
const INTERVAL = { answers: 20, minMs: 2_000, maxMs: 30_000 };
/** An interval that is older than twice the longest one began before a pause in traffic, so it measures no rate. */
const PAUSE_MS = 60_000;
/**
 * A pace without an answer for this long is forgotten. It outlasts the pauses of a sender that posts every five minutes;
 * nothing held waits for it, because a paced release sends at least two requests a second.
 */
export const PACE_KEPT_MS = 10 * 60_000;
/** With 0.3, a receiver that fails 30 % is paced: p95 70 s instead of 6 s. With 0.8, 27 % dead at 1.3 times the capacity. */
const BAD_SHARE = 0.5;
/** A pace grows, or ends, after an interval in which no more failed. */
const GOOD_SHARE = 0.3;
/** With 1, chance paces a receiver that fails 30 %: p95 29 s instead of 6 s. With 10, 18 % dead at 1.3 times the capacity. */
const BAD_INTERVALS = 3;
/** With 2, 1.55 requests per event instead of 1.11. With 1, p95 169 s instead of 95 s at 50 % failures after an outage. */
const HEADROOM = 1.2;
/** With 0, p95 222 s instead of 95 s at 50 % failures after an outage. */
const IMMUNE_MS = 5 * 60_000;

/**
 * The pace after some answers.
 *
 * @param now Unix milliseconds
 */
export function reducePace(pace: Pace, { successes, failures, isWaiting }: Answers, now: number): Pace {
  if (successes + failures === 0) return pace;
  const known = pace.since === 0 || now - pace.since > PAUSE_MS ? firstInterval(pace, now) : pace;
  const counted: Pace = {
    ...known,
    answers: known.answers + successes + failures,
    failures: known.failures + failures,
    isWaiting: known.isWaiting || isWaiting,
  };
  const elapsedMs = now - counted.since;
  const isOver = elapsedMs >= INTERVAL.maxMs || (elapsedMs >= INTERVAL.minMs && counted.answers >= INTERVAL.answers);
  return isOver ? judge(counted, elapsedMs / 1_000, now) : counted;
}

/** Requests per second for the fleet at this time; 0 is no pace. */
export const currentRate = ({ rate, since }: Pace, now: number): number => (now - since >= PACE_KEPT_MS ? 0 : rate);

/** The first interval, or the first one after a pause: a row of bad ones ends, because they were not consecutive. */
const firstInterval = (pace: Pace, now: number): Pace => ({
  ...(now - pace.since >= PACE_KEPT_MS ? NO_PACE : pace),
  since: now,
  answers: 0,
  failures: 0,
  isWaiting: false,
  badIntervals: 0,
});

function judge(pace: Pace, seconds: number, now: number): Pace {
  const share = pace.failures / pace.answers;
  const rate = pace.answers / seconds;
  const succeeded = (pace.answers - pace.failures) / seconds;
  const next: Pace = { ...pace, since: now, answers: 0, failures: 0, isWaiting: false };
  // So few answers in 30 s are no load, and a single failure of them can be chance: it neither slows nor ends a pace.
  if (pace.answers < INTERVAL.answers && share > GOOD_SHARE) return { ...next, badIntervals: 0 };
  if (pace.rate === 0) {
    const badIntervals = share > BAD_SHARE ? pace.badIntervals + 1 : 0;
    const starts = badIntervals >= BAD_INTERVALS && now > pace.immuneUntil && rate > MIN_RATE;
    if (!starts) return { ...next, badIntervals };
    return {
      ...next,
      rate: Math.max(MIN_RATE, HEADROOM * succeeded),
      shareBefore: share,
      rateBefore: rate,
      badIntervals: 0,
    };
  }
  // With 0.9 of the rate, 52 % dead instead of 5 % at twice the capacity; with 0.2, p95 167 s instead of 95 s at 50 %
  // failures. With 0.5 of the share, 46 % dead instead of none; with 0.95, p95 300 s instead of 125 s.
  const failsAsBefore = rate <= 0.5 * pace.rateBefore && share >= 0.8 * pace.shareBefore;
  if (failsAsBefore) return { ...NO_PACE, since: now, immuneUntil: now + IMMUNE_MS };
  // Deliveries may wait for another limit, so a pace far above the measured rate limits nothing either.
  const isNeedless = !pace.isWaiting || pace.rate > 2 * rate;
  if (share <= GOOD_SHARE && isNeedless) return { ...NO_PACE, since: now };
  return { ...next, rate: adjusted(pace.rate, share, succeeded) };
}

/**
 * Without the growth by half, a backlog takes 528 s instead of 472 s once the capacity is back. Without the growth by a
 * tenth or the small decrease, a receiver that gets four times its capacity uses 95 % of it instead of 97 %.
 */
function adjusted(rate: number, share: number, succeeded: number): number {
  if (share <= 0.1) return 1.5 * rate;
  if (share <= GOOD_SHARE) return 1.1 * rate;
  if (share <= 0.4) return Math.max(MIN_RATE, 0.95 * rate);
  return Math.max(MIN_RATE, HEADROOM * succeeded);
}
