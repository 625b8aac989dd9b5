import type { Pool } from "@postrider/shared/store/pool.ts";
import { pollReleasedRows } from "@postrider/shared/store/sql/poll-released.ts";

/** Removes from `released` the deliveries that are no longer pending. @returns how many those are */
export async function pollReleased(pool: Pool, released: Set<string>): Promise<number> {
  if (released.size === 0) return 0;
  const polled = [...released];
  const pending = new Set(await pollReleasedRows(pool, polled));
  for (const id of polled) if (!pending.has(id)) released.delete(id);
  return polled.length - pending.size;
}
