import { eq, sql, type Column, type SQL } from "drizzle-orm";
import type { Caller } from "./caller.ts";
import { Problem } from "./problem.ts";

const DEFAULT_TENANT = "default";

/** The condition on rows that a caller may see: an operator every row, a tenant's key the tenant's own. */
export const isVisibleTo = (caller: Caller, column: Column): SQL =>
  caller.tenant === undefined ? sql`true` : eq(column, caller.tenant);

/**
 * The tenant that a list is narrowed to.
 *
 * @param wanted the tenant that the caller asked for
 * @returns null for every tenant, undefined where the caller may see nothing of the wanted one
 */
export function listedTenant(caller: Caller, wanted: string | undefined): string | null | undefined {
  if (caller.tenant !== undefined && wanted !== undefined && wanted !== caller.tenant) return undefined;
  return caller.tenant ?? wanted ?? null;
}

/**
 * The tenant that a caller writes for.
 *
 * @param requested the tenant in the request's body
 * @param prefix of the field's name in the error, such as `events.3.`
 * @throws Problem forbidden where a tenant's key asks for another tenant
 */
export function tenantFor(caller: Caller, requested: string | undefined, prefix = ""): string {
  if (caller.tenant !== undefined && requested !== undefined && requested !== caller.tenant) {
    throw new Problem("forbidden", `${prefix}tenant: this API key is for the tenant "${caller.tenant}"`);
  }
  return caller.tenant ?? requested ?? DEFAULT_TENANT;
}
