import type { Queryable } from "../store/pool.ts";
import { readClock } from "../store/sql/read-clock.ts";

/** A process whose machine differs by more from Postgres's clock does not start. */
export const MAX_CLOCK_SKEW_MS = 60_000;

/**
 * Postgres's clock, as this process knows it: the monotonic clock plus an offset that is measured from time to time.
 * The machine's own clock may be wrong, and may jump while the process runs; ids, timestamps, signatures and delays
 * must not follow it.
 */
export class Clock {
  readonly #machineNow: () => number;
  /** Unix time at which `performance.now()` was 0. The machine's clock stands in until the first measurement. */
  #originMs: number;

  constructor(machineNow: () => number) {
    this.#machineNow = machineNow;
    this.#originMs = machineNow() - performance.now();
  }

  /** Unix milliseconds, an integer. It goes back by a little when a measurement is better than the one before. */
  now(): number {
    return Math.floor(this.#originMs + performance.now());
  }

  /** How far the machine's clock is ahead of Postgres's, in milliseconds; negative if it is behind. */
  get skewMs(): number {
    return this.#machineNow() - this.now();
  }

  /** Whether the machine's clock is right to a minute. */
  get isRight(): boolean {
    return Math.abs(this.skewMs) <= MAX_CLOCK_SKEW_MS;
  }

  /**
   * Measures the offset. Postgres reads its clock between request and response, which bounds the offset. An offset
   * within the bounds is kept, so slow responses add no error, and fast ones remove it.
   */
  async synchronize(db: Queryable): Promise<void> {
    const before = performance.now();
    const postgresMs = await readClock(db);
    const after = performance.now();
    this.#originMs = Math.min(Math.max(this.#originMs, postgresMs - after), postgresMs - before);
  }
}

/** The clock of this process. `Date.now` is captured here, before runProcess() replaces it. */
export const clock = new Clock(Date.now);

/** Unix milliseconds by Postgres's clock. Everything that is stored, sent or compared with another process uses it. */
export const now = (): number => clock.now();

/**
 * Measures the clock before a process starts to work. It corrects a wrong clock of the machine, but that is a fault
 * which also affects TLS and everything else on the machine, so it is shown at once.
 *
 * @throws Error if the machine's clock differs from Postgres's by more than a minute
 */
export async function refuseWrongClock(db: Queryable, measured: Clock = clock): Promise<void> {
  await measured.synchronize(db);
  if (measured.isRight) return;
  const [skew, max] = [Math.round(measured.skewMs / 1000), MAX_CLOCK_SKEW_MS / 1000];
  throw new Error(
    `this machine's clock is ${skew} s off the clock of Postgres (at most ${max} s is allowed): ` +
      "set the clock and start again",
  );
}
