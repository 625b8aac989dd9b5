import type { Queryable } from "../pool.ts";

const text = (limit: number): string => `
  delete from idempotency_keys where (tenant, key) in
    (select tenant, key from idempotency_keys where expires_at < now() limit ${limit} for update skip locked)`;

/**
 * Deletes up to `limit` expired idempotency keys.
 *
 * @returns the number of deleted keys
 */
export async function removeExpiredKeyRows(db: Queryable, limit: number): Promise<number> {
  const { rowCount } = await db.query(text(limit));
  return rowCount ?? 0;
}
