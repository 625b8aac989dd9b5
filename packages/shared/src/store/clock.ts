import type { Pool } from "pg";

const MAX_CLOCK_SKEW_MS = 60_000;

/**
 * Ids contain their time, so a wrong clock would write to the wrong partition and hide events from the lists.
 *
 * @throws Error if this process's clock differs from Postgres's by more than a minute
 */
export async function refuseWrongClock(pool: Pool, now: () => number): Promise<void> {
  const before = now();
  const { rows } = await pool.query<{ ms: number }>(
    "select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms",
  );
  // Postgres read its clock at some time between request and response; the middle halves the error.
  const skewMs = Math.round((before + now()) / 2 - rows[0]!.ms);
  if (Math.abs(skewMs) > MAX_CLOCK_SKEW_MS) {
    const [skew, max] = [Math.round(skewMs / 1000), MAX_CLOCK_SKEW_MS / 1000];
    throw new Error(
      `this machine's clock is ${skew} s off the clock of Postgres (at most ${max} s is allowed): ` +
        "set the clock and start again",
    );
  }
}
