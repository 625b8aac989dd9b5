import { setTimeout as pause } from "node:timers/promises";

export interface WaitOptions {
  /** Deadline in milliseconds, before `patience` scales it. */
  within?: number;
  /** Milliseconds between two polls. */
  every?: number;
}

type Falsy = false | null | undefined | 0 | "";

/** Generous: a passing test never waits this long, and a machine at a load of 20 must not fail one. */
export const WITHIN_MS = 120_000;
const EVERY_MS = 25;

const factor = Number(process.env["POSTRIDER_TEST_PATIENCE"] ?? 1);

/** A deadline, multiplied by POSTRIDER_TEST_PATIENCE (default 1) for machines that are slower still. */
export const patience = (ms: number): number => ms * factor;

/**
 * Polls until `probe` returns a truthy value, and returns it. A probe that throws counts as "not yet".
 *
 * @throws Error at the deadline, with the condition and the last value
 */
export async function waitFor<T>(
  what: string,
  probe: () => T | Promise<T>,
  { within = WITHIN_MS, every = EVERY_MS }: WaitOptions = {},
): Promise<Exclude<T, Falsy>> {
  const limit = patience(within);
  const deadline = performance.now() + limit;
  for (;;) {
    let seen: unknown;
    try {
      const found = await probe();
      if (found) return found as Exclude<T, Falsy>;
      seen = found;
    } catch (error) {
      seen = error;
    }
    if (performance.now() >= deadline) {
      throw new Error(`not within ${limit} ms: ${what}; last seen: ${describe(seen)}`, {
        cause: seen instanceof Error ? seen : undefined,
      });
    }
    await pause(every);
  }
}

/** @throws Error if the promise has not settled by the deadline */
export async function withDeadline<T>(what: string, within: number, promise: Promise<T>): Promise<T> {
  const limit = patience(within);
  const settled = new AbortController();
  const late = pause(limit, undefined, { signal: settled.signal }).then(() => {
    throw new Error(`not within ${limit} ms: ${what}`);
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    settled.abort();
  }
}

/**
 * Polls for a measurement, in which not reaching a condition is a result and not an error.
 *
 * @returns whether the condition held within the time
 */
export async function holdsWithin(within: number, every: number, holds: () => Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + within;
  for (;;) {
    if (await holds()) return true;
    if (performance.now() > deadline) return false;
    await pause(every);
  }
}

/**
 * Follows a growing number until it reaches `goal` or has stopped growing for `idleMs`.
 *
 * @returns the largest value seen
 */
export async function followGrowth(
  goal: number,
  idleMs: number,
  every: number,
  read: () => Promise<number>,
): Promise<number> {
  let max = await read();
  let grownAt = performance.now();
  while (max < goal && performance.now() - grownAt < idleMs) {
    await pause(every);
    const now = await read();
    if (now > max) {
      max = now;
      grownAt = performance.now();
    }
  }
  return max;
}

function describe(seen: unknown): string {
  return seen instanceof Error ? seen.message : (JSON.stringify(seen) ?? String(seen));
}
