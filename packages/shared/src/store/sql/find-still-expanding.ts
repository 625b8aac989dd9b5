import type { Queryable } from "../pool.ts";

const TEXT = `
  select asked.tenant from unnest($1::text[]) as asked (tenant)
  where exists (select from expansions x where x.tenant = asked.tenant)`;

/** @returns the given tenants that still have unfinished expansions */
export async function findStillExpanding(db: Queryable, tenants: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ tenant: string }>(TEXT, [tenants]);
  return rows.map(({ tenant }) => tenant);
}
