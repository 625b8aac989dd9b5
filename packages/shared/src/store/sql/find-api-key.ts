import type { Queryable } from "../pool.ts";

export interface ApiKeyRow {
  /** Null for an operator key. */
  tenant: string | null;
  scopes: string[];
}

const TEXT = "select tenant, scopes from api_keys where hash = $1 and (expires_at is null or expires_at > now())";

/** @returns undefined if no key has this hash, or it has expired */
export async function findApiKey(db: Queryable, hash: Buffer): Promise<ApiKeyRow | undefined> {
  const { rows } = await db.query<ApiKeyRow>({ name: "find-api-key", text: TEXT, values: [hash] });
  return rows[0];
}
