/** A tenant's unfinished deliveries in a page of a walk over those of all tenants. */
export interface UnfinishedOfTenant {
  /** Null where the subscription's row is missing. */
  tenant: string | null;
  deliveries: number;
  /** Where the next page begins; null after the last page. */
  next: string | null;
}

/**
 * Counts the rows of a page by tenant.
 *
 * @param page SQL of the page, with `tenant`, `deliveries` and `at`, which orders the walk
 * @param limit a page with fewer rows is the last one
 */
export const countByTenant = (page: string, limit: number): string => `
  with page as materialized (${page})
  select tenant, sum(deliveries)::int as deliveries,
    (select case when count(*) >= ${limit} then max(at::text collate "C") end from page) as next
  from page group by tenant`;
