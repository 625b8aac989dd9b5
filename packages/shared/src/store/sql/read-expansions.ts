import type { Queryable } from "../pool.ts";

export interface Expansions {
  /** Events whose deliveries are not all written. */
  unfinished: number;
  /** The oldest of them; null without one. */
  oldestEvent: string | null;
}

const TEXT = `
  select (select count(*)::int from expansions) as unfinished,
    (select event_id from expansions order by event_id limit 1) as "oldestEvent"`;

/** Reads how many expansions are unfinished. */
export async function readExpansions(db: Queryable): Promise<Expansions> {
  const { rows } = await db.query<Expansions>(TEXT);
  return rows[0]!;
}
