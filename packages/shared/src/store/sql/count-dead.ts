import type { Queryable } from "../pool.ts";

// The range of ids prunes partitions; the index has the ids in another form.
const text = (limit: number): string => `
  select count(*)::int as count from (
    select from deliveries where state = 'dead' and uuid_send(id) >= uuid_send($1::uuid) and id >= $1::uuid limit ${limit}
  ) dead`;

/** Counts dead letters with ids from `fromId`, up to `limit`. */
export async function countDead(db: Queryable, fromId: string, limit: number): Promise<number> {
  const { rows } = await db.query<{ count: number }>(text(limit), [fromId]);
  return rows[0]!.count;
}
