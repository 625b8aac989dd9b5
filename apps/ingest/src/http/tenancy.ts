import { and, eq, sql, type Column, type SQL } from "drizzle-orm";
import type { Caller } from "./auth.ts";

/** What a caller may see: everything for an operator, narrowed by the tenant they ask for; its own tenant's rows for a tenant's key. */
export function isOwn(caller: Caller, column: Column, wanted?: string): SQL | undefined {
  const own = caller.tenant === undefined ? undefined : eq(column, caller.tenant);
  return and(own ?? sql`true`, wanted === undefined ? undefined : eq(column, wanted));
}
