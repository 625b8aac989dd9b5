import type { Rank } from "./lookup-places.ts";

const MIN_MS = 2_000;
const MAX_MS = 60_000;
/** About ten look-ups of a tenant's names that never answer end in a second. */
const STEP_MS = 100;
/** With such a delay, waiting a second for a place is in vain, and keeps a slot. */
const CROWDED_MS = 4_000;
/** Tenants and ranks in memory. */
const MAX_ENTRIES = 10_000;

/**
 * Spreads the next tries of look-ups that found no place: those of one tenant and rank follow each other, within a
 * minute. Without it, thousands of names that never answer would be tried again every two seconds.
 */
export class BusyBackoff {
  /** The time of the last try that was given out. Least recently used first. */
  readonly #last = new Map<string, number>();

  /** @returns in how many milliseconds to try again */
  next(tenant: string, rank: Rank): number {
    const key = `${rank} ${tenant}`;
    const now = performance.now();
    const after = (this.#last.get(key) ?? 0) + STEP_MS;
    const at = Math.min(Math.max(after, now + MIN_MS), now + MAX_MS);
    this.#last.delete(key);
    this.#last.set(key, at);
    if (this.#last.size > MAX_ENTRIES) {
      const [oldest] = this.#last.keys();
      this.#last.delete(oldest!);
    }
    return at - now;
  }

  /** Whether so many wait already that another one should come later. */
  isCrowded(tenant: string, rank: Rank): boolean {
    return (this.#last.get(`${rank} ${tenant}`) ?? 0) - performance.now() > CROWDED_MS;
  }
}
