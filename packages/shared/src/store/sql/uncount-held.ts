import type { Queryable } from "../pool.ts";

const text = (partition: string): string => `
  insert into held_changes (xid, subscription_id, reason, change)
  select pg_current_xact_id(), subscription_id, held_reason, -1 from "${partition}" where state = 'held'`;

/**
 * Counts the deliveries that are still held in a detached partition no longer: it has no triggers.
 *
 * @param partition its name, from the catalog
 * @returns their number
 */
export async function uncountHeldRows(db: Queryable, partition: string): Promise<number> {
  const { rowCount } = await db.query(text(partition));
  return rowCount ?? 0;
}
