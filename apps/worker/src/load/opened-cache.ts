import type { Sealed } from "@postrider/shared/store/schema/index.ts";

/** In characters: about 30,000 secrets, or 3,000 headers of the largest size. */
const MAX_SIZE = 8_000_000;
/** What an entry costs beside its text. */
const ENTRY_SIZE = 200;

/** Remembers what was opened, by its sealed text. */
export class OpenedCache<T> {
  readonly #open: (stored: Sealed, owner: string) => T;
  readonly #opened = new Map<string, { owner: string; value: T }>();
  #size = 0;

  constructor(open: (stored: Sealed, owner: string) => T) {
    this.#open = open;
  }

  /** @throws Error if no key opens it, or it was sealed for another owner */
  open(stored: Sealed, owner: string): T {
    const known = this.#opened.get(stored.sealed);
    if (known?.owner === owner) return known.value;
    const value = this.#open(stored, owner);
    this.#size += stored.sealed.length + ENTRY_SIZE;
    if (this.#size > MAX_SIZE) {
      this.#opened.clear();
      this.#size = stored.sealed.length + ENTRY_SIZE;
    }
    this.#opened.set(stored.sealed, { owner, value });
    return value;
  }
}
