import type { Pool } from "@postrider/shared/store/pool.ts";
import { pollReleasedRows } from "@postrider/shared/store/sql/poll-released.ts";

/**
 * Removes from `released` the deliveries that are no longer pending.
 *
 * @returns how many those are, and how many of them failed or were held again
 */
export async function pollReleased(pool: Pool, released: Set<string>): Promise<{ completed: number; failed: number }> {
  if (released.size === 0) return { completed: 0, failed: 0 };
  const polled = [...released];
  const unfinished = await pollReleasedRows(pool, polled);
  const pending = new Set(unfinished.filter(({ state }) => state === "pending").map(({ id }) => id));
  for (const id of polled) if (!pending.has(id)) released.delete(id);
  return { completed: polled.length - pending.size, failed: unfinished.length - pending.size };
}
