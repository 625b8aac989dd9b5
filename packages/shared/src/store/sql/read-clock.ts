import type { Queryable } from "../pool.ts";

const TEXT = "select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms";

/** Reads Postgres's clock: Unix milliseconds, with fractions. */
export async function readClock(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ ms: number }>(TEXT);
  return rows[0]!.ms;
}
