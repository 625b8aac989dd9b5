import type { Queryable } from "../pool.ts";

const TEXT = `
  update held_folded set reconciled_at = now() where reconciled_at < now() - $1 * interval '1 millisecond'`;

/**
 * Whether the held counts are to be compared with the deliveries. To the end of the transaction no other process
 * compares or folds them.
 */
export async function claimReconciliation(db: Queryable, everyMs: number): Promise<boolean> {
  const { rowCount } = await db.query(TEXT, [everyMs]);
  return rowCount === 1;
}
