import type { Pool } from "pg";

const MAX_CLOCK_SKEW_MS = 60_000;

/**
 * Ids carry their time, so a wrong clock would write into the wrong partition and hide events from the lists.
 *
 * @throws Error where this process's clock is more than a minute off Postgres's
 */
export async function refuseWrongClock(pool: Pool, now: () => number): Promise<void> {
  const before = now();
  const { rows } = await pool.query<{ ms: number }>(
    "select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms",
  );
  // The answer was made somewhere between asking and receiving: the middle halves the doubt.
  const skewMs = Math.round((before + now()) / 2 - rows[0]!.ms);
  if (Math.abs(skewMs) > MAX_CLOCK_SKEW_MS) {
    throw new Error(
      `this machine's clock is ${Math.round(skewMs / 1000)} s off the clock of Postgres (at most ${MAX_CLOCK_SKEW_MS / 1000} s is allowed): set the clock and start again`,
    );
  }
}
