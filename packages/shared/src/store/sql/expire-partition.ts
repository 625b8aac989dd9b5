import type { Queryable } from "../pool.ts";
import { moveTo } from "../transitions.ts";

const text = (partition: string, limit: number): string => `
  update "${partition}" set ${moveTo("dead", { dead_reason: "'expired'" })},
    last_error = coalesce(last_error, 'past retention')
  where id in (select id from "${partition}" where state in ('pending', 'retrying', 'held') limit ${limit})`;

/**
 * Moves up to `limit` unfinished deliveries of a partition to `dead` (`expired`).
 *
 * @param partition name of a partition of `deliveries`, from the catalog
 * @returns the number of expired deliveries
 */
export async function expirePartitionRows(db: Queryable, partition: string, limit: number): Promise<number> {
  const { rowCount } = await db.query(text(partition, limit));
  return rowCount ?? 0;
}
