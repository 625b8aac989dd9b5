import type { classify } from "@postrider/shared/core/delivery/outcome.ts";

export type Exchange = Parameters<typeof classify>[0];

/** An answer of a simulated receiver: what came of the request, and after how many milliseconds. */
export interface Answer {
  exchange: Exchange;
  afterMs: number;
}

/** @property asked how often it was asked while it was down */
export interface Receiver {
  asked: number;
  answer(now: number, random: () => number): Answer;
  ended(): void;
}

const OK: Exchange = { responseStatus: 200, retryAfter: undefined, errorCode: null };
const BUSY: Exchange = { responseStatus: 503, retryAfter: undefined, errorCode: null };
const TIMED_OUT: Exchange = { responseStatus: null, retryAfter: undefined, errorCode: "timeout" };
const TIMEOUT_MS = 15_000;

const simple = (answer: Receiver["answer"]): Receiver => ({ asked: 0, answer, ended: () => undefined });

/** Fails a share of its requests at random. */
export const flaky = (share: number): Receiver =>
  simple((_now, random) => ({ exchange: random() < share ? BUSY : OK, afterMs: 0 }));

/** Refuses what exceeds its capacity, requests per second, in a bucket of 0.2 s. */
export function overloaded(capacity: number): Receiver {
  let tokens = capacity;
  let at = 0;
  return simple((now) => {
    tokens = Math.min(capacity * 0.2 + 1, tokens + ((now - at) / 1_000) * capacity);
    at = now;
    if (tokens < 1) return { exchange: BUSY, afterMs: 0 };
    tokens -= 1;
    return { exchange: OK, afterMs: 0 };
  });
}

/** Fails everything between two moments; behaves like another receiver otherwise. */
export function down(from: number, until: number, otherwise: Receiver = flaky(0)): Receiver {
  const receiver: Receiver = simple((now, random) => {
    if (now < from || now >= until) return otherwise.answer(now, random);
    receiver.asked += 1;
    return { exchange: BUSY, afterMs: 0 };
  });
  return receiver;
}

/** One that works on `workers` requests at once, each for `workMs`: further ones wait, and time out where that takes too long. */
function queueing(workers: number, workMs: number, timesOut: boolean): Receiver {
  let inService = 0;
  return {
    asked: 0,
    answer() {
      inService += 1;
      const takesMs = workMs * Math.max(1, inService / workers);
      return timesOut && takesMs > TIMEOUT_MS
        ? { exchange: TIMED_OUT, afterMs: TIMEOUT_MS }
        : { exchange: OK, afterMs: takesMs };
    },
    ended: () => (inService -= 1),
  };
}

/** Gets slower the more requests it has, and never fails. */
export const slowsDown = (capacity: number): Receiver => queueing(Math.max(1, capacity / 10), 100, false);

/** Gets slower the more requests it has, until they time out. */
export const timesOutUnderLoad = (capacity: number): Receiver => queueing(Math.max(1, capacity / 2), 500, true);
