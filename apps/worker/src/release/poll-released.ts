import type { Pool } from "@postrider/shared/store/pool.ts";
import { pollReleasedRows } from "@postrider/shared/store/sql/poll-released.ts";

/**
 * Removes from `released` the deliveries that are no longer pending.
 *
 * @returns how many of them were attempted or settled, and how many were held again
 */
export async function pollReleased(pool: Pool, released: Set<string>): Promise<{ completed: number; reheld: number }> {
  if (released.size === 0) return { completed: 0, reheld: 0 };
  const polled = released.size;
  const rows = await pollReleasedRows(pool, [...released]);
  released.clear();
  for (const { id, state } of rows) if (state === "pending") released.add(id);
  return { completed: polled - rows.length, reheld: rows.length - released.size };
}
