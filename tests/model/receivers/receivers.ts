import type { classify } from "@postrider/shared/core/delivery/outcome.ts";

export type Exchange = Parameters<typeof classify>[0];

export interface Answer {
  exchange: Exchange;
  afterMs: number;
}

/** A simulated subscriber's server. Times are milliseconds of the simulated clock. */
export interface Receiver {
  /** The answer to a request that arrives now. */
  answer(now: number, random: () => number): Answer;
  /** Called when an answer has been sent, or the sender has given up. */
  ended(): void;
}

const OK: Exchange = { responseStatus: 200, retryAfter: undefined, errorCode: null };
const BUSY: Exchange = { responseStatus: 503, retryAfter: undefined, errorCode: null };
const TIMED_OUT: Exchange = { responseStatus: null, retryAfter: undefined, errorCode: "timeout" };

const ANSWER_MS = 20;
/** The default of DELIVERY_TIMEOUT. */
const TIMEOUT_MS = 15_000;

/** Fails a share of its requests at random. */
export const flaky = (share: number): Receiver => ({
  answer: (_now, random) => ({ exchange: random() < share ? BUSY : OK, afterMs: ANSWER_MS }),
  ended: () => undefined,
});

/** Refuses requests beyond its capacity, in requests per second: a token bucket that holds 0.2 s of it. */
export function overloaded(capacity: number): Receiver {
  const size = capacity * 0.2 + 1;
  let tokens = size;
  let at = 0;
  return {
    answer(now) {
      tokens = Math.min(size, tokens + ((now - at) / 1_000) * capacity);
      at = now;
      const hasCapacity = tokens >= 1;
      if (hasCapacity) tokens -= 1;
      return { exchange: hasCapacity ? OK : BUSY, afterMs: ANSWER_MS };
    },
    ended: () => undefined,
  };
}

/** Fails every request between two times, and is another receiver before and after. */
export const down = (from: number, until: number, otherwise: Receiver = flaky(0)): Receiver => ({
  answer: (now, random) =>
    now >= from && now < until ? { exchange: BUSY, afterMs: ANSWER_MS } : otherwise.answer(now, random),
  ended: () => otherwise.ended(),
});

/** Works on `threads` requests at once, each for `workMs`: a further one makes all later answers slower. */
function shared(threads: number, workMs: number, timeoutMs: number): Receiver {
  let inFlight = 0;
  return {
    answer() {
      inFlight += 1;
      const takesMs = workMs * Math.max(1, inFlight / threads);
      return takesMs > timeoutMs ? { exchange: TIMED_OUT, afterMs: timeoutMs } : { exchange: OK, afterMs: takesMs };
    },
    ended: () => (inFlight -= 1),
  };
}

/** Gets slower with each further request in flight, and never fails. */
export const slowsDown = (capacity: number): Receiver => shared(capacity / 10, 100, Number.POSITIVE_INFINITY);

/** Gets slower with each further request in flight, until answers take longer than the timeout. */
export const timesOut = (capacity: number): Receiver => shared(capacity / 2, 500, TIMEOUT_MS);

/**
 * Works on requests in the order of their arrival, also on those whose sender has given up, so that a queue longer than
 * the timeout makes every request fail.
 */
export function queues(capacity: number): Receiver {
  let freeAt = 0;
  return {
    answer(now) {
      freeAt = Math.max(now, freeAt) + 1_000 / capacity;
      const takesMs = ANSWER_MS + freeAt - now;
      return takesMs > TIMEOUT_MS ? { exchange: TIMED_OUT, afterMs: TIMEOUT_MS } : { exchange: OK, afterMs: takesMs };
    },
    ended: () => undefined,
  };
}
