import type { QueryConfig } from "pg";
import type { Queryable } from "../pool.ts";

export interface ApiKeyRow {
  hash: Buffer;
  /** Null for an operator key. */
  tenant: string | null;
  scopes: string[];
}

const TEXT = `
  select hash, tenant, scopes from api_keys
  where hash = any ($1::bytea[]) and (expires_at is null or expires_at > now())`;

/** The keys that have one of these hashes and have not expired, in any order. */
export async function findApiKeys(db: Queryable, hashes: readonly Buffer[], timeoutMs: number): Promise<ApiKeyRow[]> {
  const query: QueryConfig & { query_timeout: number } = {
    name: "find-api-keys",
    text: TEXT,
    values: [hashes],
    query_timeout: timeoutMs,
  };
  const { rows } = await db.query<ApiKeyRow>(query);
  return rows;
}
