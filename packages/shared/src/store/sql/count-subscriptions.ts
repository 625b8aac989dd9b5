import type { Queryable } from "../pool.ts";

const TEXT = `
  select count(*)::int as count from (
    select from subscriptions where tenant = $1 and deleted_at is null limit $2
  ) counted`;

/** Counts a tenant's subscriptions, up to a maximum. */
export async function countSubscriptions(db: Queryable, tenant: string, max: number): Promise<number> {
  const { rows } = await db.query<{ count: number }>({
    name: "count-subscriptions",
    text: TEXT,
    values: [tenant, max],
  });
  return rows[0]!.count;
}
