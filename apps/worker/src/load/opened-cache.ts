import type { Sealed } from "@postrider/shared/store/schema/index.ts";

/** More than most fleets have subscriptions; each costs some hundred bytes. */
const MAX_OPENED = 20_000;

/** Remembers what was opened, by its sealed text. */
export class OpenedCache<T> {
  readonly #open: (stored: Sealed, owner: string) => T;
  readonly #opened = new Map<string, { owner: string; value: T }>();

  constructor(open: (stored: Sealed, owner: string) => T) {
    this.#open = open;
  }

  /** @throws Error if no key opens it, or it was sealed for another owner */
  open(stored: Sealed, owner: string): T {
    const known = this.#opened.get(stored.sealed);
    if (known?.owner === owner) return known.value;
    const value = this.#open(stored, owner);
    if (this.#opened.size >= MAX_OPENED) this.#opened.clear();
    this.#opened.set(stored.sealed, { owner, value });
    return value;
  }
}
