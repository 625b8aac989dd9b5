import type { Pool } from "@postrider/shared/store/pool.ts";
import { removeExpiredKeyRows } from "@postrider/shared/store/sql/remove-expired-keys.ts";

/** Rows per statement, so that no lock is held for long. */
const PAGE = 10_000;

/**
 * Deletes expired idempotency keys.
 *
 * @returns how many
 */
export async function removeExpiredKeys(pool: Pool): Promise<number> {
  for (let removed = 0; ;) {
    const count = await removeExpiredKeyRows(pool, PAGE);
    removed += count;
    if (count < PAGE) return removed;
  }
}
