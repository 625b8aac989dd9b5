import { setTimeout as pause } from "node:timers/promises";

export interface WaitOptions {
  /** Deadline in milliseconds. */
  within?: number;
  /** Milliseconds between two looks. */
  every?: number;
}

type Falsy = false | null | undefined | 0 | "";

/**
 * Looks again and again until `probe` answers something truthy, and returns that. A probe that throws has not happened
 * yet. At the deadline it throws, naming what was waited for and what was seen last.
 */
export async function waitFor<T>(
  what: string,
  probe: () => T | Promise<T>,
  { within = 10_000, every = 25 }: WaitOptions = {},
): Promise<Exclude<T, Falsy>> {
  const deadline = Date.now() + within;
  for (;;) {
    let seen: unknown;
    try {
      const answer = await probe();
      if (answer) return answer as Exclude<T, Falsy>;
      seen = answer;
    } catch (error) {
      seen = error;
    }
    if (Date.now() >= deadline) {
      throw new Error(`not within ${within} ms: ${what}; last seen: ${describe(seen)}`, {
        cause: seen instanceof Error ? seen : undefined,
      });
    }
    await pause(every);
  }
}

/** The promise, or an error at the deadline. */
export async function withDeadline<T>(what: string, within: number, promise: Promise<T>): Promise<T> {
  const stop = new AbortController();
  const late = pause(within, undefined, { signal: stop.signal }).then(() => {
    throw new Error(`not within ${within} ms: ${what}`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    stop.abort();
    late.catch(() => undefined);
  }
}

function describe(seen: unknown): string {
  return seen instanceof Error ? seen.message : (JSON.stringify(seen) ?? String(seen));
}
