import type { Queryable } from "../pool.ts";

const TEXT = `
  select count(*)::int as count from (
    select from deliveries where tenant = $1 and state in ('pending', 'retrying', 'held') limit $2
  ) counted`;

/** Counts a tenant's unfinished deliveries, up to a maximum. */
export async function countUnfinished(db: Queryable, tenant: string, max: number): Promise<number> {
  const { rows } = await db.query<{ count: number }>({ name: "count-unfinished", text: TEXT, values: [tenant, max] });
  return rows[0]!.count;
}
