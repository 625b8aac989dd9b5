import type { Queryable } from "../pool.ts";

const text = (limit: number): string => `
  delete from idempotency_keys where (tenant, key) in
    (select tenant, key from idempotency_keys where expires_at < now() limit ${limit} for update skip locked)`;

/**
 * Deletes expired idempotency keys, at most `limit`.
 *
 * @returns how many
 */
export async function removeExpiredKeyRows(db: Queryable, limit: number): Promise<number> {
  const { rowCount } = await db.query(text(limit));
  return rowCount ?? 0;
}
