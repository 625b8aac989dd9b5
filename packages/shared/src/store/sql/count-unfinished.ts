import type { Queryable } from "../pool.ts";

/** A function, because it has planner settings: a bitmap scan would read all of them before the limit counts. */
const TEXT = "select count_unfinished($1, $2) as count";

/** Counts a tenant's unfinished deliveries, up to a maximum. */
export async function countUnfinished(db: Queryable, tenant: string, max: number): Promise<number> {
  const { rows } = await db.query<{ count: number }>({ name: "count-unfinished", text: TEXT, values: [tenant, max] });
  return rows[0]!.count;
}
