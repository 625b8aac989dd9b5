import type { Queryable } from "../pool.ts";

const text = (limit: number): string =>
  `select count(*)::int as count from (select from deliveries where state = 'dead' and id >= $1 limit ${limit}) dead`;

/** Counts dead letters with ids from `fromId`, up to `limit`. */
export async function countDead(db: Queryable, fromId: string, limit: number): Promise<number> {
  const { rows } = await db.query<{ count: number }>(text(limit), [fromId]);
  return rows[0]!.count;
}
