import type { Pool } from "@postrider/shared/store/pool.ts";
import { foldHeldChangeRows } from "@postrider/shared/store/sql/fold-held-changes.ts";

const PAGE = 10_000;

/** Folds the changes of held deliveries into the counts. Any number of workers may do it at once. @returns how many */
export async function foldHeldChanges(pool: Pool, page = PAGE): Promise<number> {
  for (let folded = 0; ;) {
    const count = await foldHeldChangeRows(pool, page);
    folded += count;
    if (count < page) return folded;
  }
}
