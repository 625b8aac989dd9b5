/** A part of the memory that one request holds. */
export interface Reservation {
  /** @returns whether so many bytes in all may be held; if not, it keeps what it had */
  grow(bytes: number): boolean;
  release(): void;
}

/**
 * How many bytes of request bodies this process holds at once, from the start of reading to the response.
 *
 * One caller may hold at most half of them, so that a caller who sends many large bodies, or never ends them, leaves
 * memory for the others.
 */
export class BodyMemory {
  readonly #max: number;
  #held = 0;
  readonly #heldBy = new Map<string, number>();

  constructor(maxBytes: number) {
    this.#max = maxBytes;
  }

  get held(): number {
    return this.#held;
  }

  /** @param caller whose share it counts against */
  reserve(caller: string): Reservation {
    let own = 0;
    const change = (bytes: number) => {
      const ofCaller = (this.#heldBy.get(caller) ?? 0) + bytes - own;
      this.#held += bytes - own;
      own = bytes;
      if (ofCaller === 0) this.#heldBy.delete(caller);
      else this.#heldBy.set(caller, ofCaller);
    };
    return {
      grow: (bytes) => {
        const more = bytes - own;
        if (more <= 0) return true;
        const ofCaller = (this.#heldBy.get(caller) ?? 0) + more;
        if (this.#held + more > this.#max || ofCaller > this.#max / 2) return false;
        change(bytes);
        return true;
      },
      release: () => change(0),
    };
  }
}
