import type { HeldPosition } from "@postrider/shared/store/held-position.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { readHeld, type HeldRow } from "@postrider/shared/store/sql/read-held.ts";

/** A delivery that was released and held again keeps its `held_at`, so it may be before the place that is known. */
const RESTART_MS = 30_000;
/** Where a walk from the beginning takes long, it is made so many times less often than it takes. */
const RESTART_FACTOR = 100;
const MAX_REMEMBERED = 10_000;

/**
 * Reads how many deliveries of subscriptions are held, and since when. It remembers where each subscription's longest
 * held delivery was found: while an old snapshot is open (a dump), every call would walk all index entries of what was
 * released since.
 */
export class HeldReader {
  readonly #places = new Map<string, { at: HeldPosition; restartAt: number }>();

  async read(pool: Pool, ids: readonly string[]): Promise<HeldRow[]> {
    const startedAt = performance.now();
    const from = new Map<string, HeldPosition>();
    for (const id of ids) {
      const known = this.#places.get(id);
      if (known && startedAt < known.restartAt) from.set(id, known.at);
    }
    let rows = await readHeld(pool, ids, from);
    if (from.size > 0 && rows.some(({ oldestAt }) => oldestAt === null)) {
      from.clear();
      rows = await readHeld(pool, ids);
    }
    const now = performance.now();
    const restartAt = now + Math.max(RESTART_MS, (now - startedAt) * RESTART_FACTOR);
    for (const { subscriptionId: id, oldest } of rows) {
      if (oldest === null) continue;
      const known = from.has(id) ? this.#places.get(id) : undefined;
      this.#places.delete(id);
      this.#places.set(id, { at: oldest, restartAt: known?.restartAt ?? restartAt });
    }
    for (const id of this.#places.keys()) {
      if (this.#places.size <= MAX_REMEMBERED) break;
      this.#places.delete(id);
    }
    return rows.filter(({ oldestAt }) => oldestAt !== null);
  }
}
