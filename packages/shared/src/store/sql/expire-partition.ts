import type { DeliveryState } from "../../core/delivery/states.ts";
import type { Queryable } from "../pool.ts";
import { moveTo } from "../transitions.ts";

const UNFINISHED = ["pending", "retrying", "held"] as const satisfies readonly DeliveryState[];

// One select per state, because the index of each has only the rows of that state.
const text = (partition: string, limit: number): string => `
  update "${partition}" set ${moveTo("dead", { dead_reason: "'expired'" })},
    last_error = coalesce(last_error, 'past retention')
  where id in (${UNFINISHED.map((state) => `(select id from "${partition}" where state = '${state}' limit ${limit})`).join(" union all ")})`;

/**
 * Moves unfinished deliveries of a partition to `dead` (`expired`), up to `limit` of each state.
 *
 * @param partition name of a partition of `deliveries`, from the catalog
 * @returns the number of expired deliveries: fewer than `limit` where none is left
 */
export async function expirePartitionRows(db: Queryable, partition: string, limit: number): Promise<number> {
  const { rowCount } = await db.query(text(partition, limit));
  return rowCount ?? 0;
}
