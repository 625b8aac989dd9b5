import type { HeldPosition } from "@postrider/shared/store/held-position.ts";

/** A delivery that was released and held again keeps its `held_at`, so it may be before the cursor. */
const RESTART_MS = 30_000;
const MAX_REMEMBERED = 1_000;

/** Up to where the held deliveries of a subscription have been released. */
export interface HeldCursor {
  last: HeldPosition | undefined;
}

/**
 * Remembers where releases go on. While an old snapshot is open (a dump), vacuum can't remove the index entries of what
 * was released, and each round would walk all of them again.
 */
export class HeldCursors {
  readonly #cursors = new Map<string, HeldCursor & { startedAt: number }>();

  /** The cursor of a subscription, which the caller moves. Now and then it begins anew. */
  of(subscriptionId: string): HeldCursor {
    const now = performance.now();
    const found = this.#cursors.get(subscriptionId);
    if (found && now - found.startedAt < RESTART_MS) return found;
    const cursor = { last: undefined, startedAt: now };
    // The oldest come first.
    this.#cursors.delete(subscriptionId);
    this.#cursors.set(subscriptionId, cursor);
    for (const id of this.#cursors.keys()) {
      if (this.#cursors.size <= MAX_REMEMBERED) break;
      this.#cursors.delete(id);
    }
    return cursor;
  }
}
