import type { Queryable } from "../pool.ts";

export interface ExpandingTenant {
  tenant: string;
}

// A loose index scan: it steps from one tenant to the next and does not read every unfinished event.
const text = (limit: number): string => `
  with recursive expanding (tenant, n) as (
    (select tenant, 1 from expansions where tenant > $1 order by tenant limit 1)
    union all
    select (select x.tenant from expansions x where x.tenant > e.tenant order by x.tenant limit 1), n + 1
    from expanding e where e.tenant is not null and n < ${limit}
  )
  select tenant from expanding where tenant is not null order by tenant`;

/**
 * Finds up to `limit` tenants with unfinished expansions, in the order of their names.
 *
 * @param after the last row of the previous page; undefined for the first page
 */
export async function findExpandingTenants(
  db: Queryable,
  after: ExpandingTenant | undefined,
  limit: number,
): Promise<ExpandingTenant[]> {
  const { rows } = await db.query<ExpandingTenant>(text(limit), [after?.tenant ?? ""]);
  return rows;
}
