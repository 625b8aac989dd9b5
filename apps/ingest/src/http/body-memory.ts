/** A part of the memory that one request holds. */
export interface Reservation {
  /** @returns whether so many bytes in all may be held; if not, it keeps what it had */
  resize(bytes: number): boolean;
  release(): void;
}

interface Use {
  held: number;
  /** Of each body the larger of the bytes that are held and the announced ones. */
  claimed: number;
}

const NOTHING: Use = { held: 0, claimed: 0 };

/**
 * How many bytes of request bodies this process holds at once, from the start of reading to the response.
 *
 * One caller may have at most half of what the others leave free, so however many callers send all they may, the next
 * one has some. Bytes that are only announced take memory from nobody else: they count against their own caller's half,
 * so that a body that cannot fit is refused before it is sent.
 */
export class BodyMemory {
  readonly #max: number;
  #held = 0;
  readonly #callers = new Map<string, Use>();

  constructor(maxBytes: number) {
    this.#max = maxBytes;
  }

  get held(): number {
    return this.#held;
  }

  /**
   * @param caller whose share it counts against
   * @param announced how long the body is; 0 where it is not known
   * @returns undefined if it cannot fit
   */
  reserve(caller: string, announced: number): Reservation | undefined {
    let own = NOTHING;
    const change = (to: Use) => {
      const used = this.#useOf(caller);
      const claimed = used.claimed + to.claimed - own.claimed;
      if (claimed === 0) this.#callers.delete(caller);
      else this.#callers.set(caller, { held: used.held + to.held - own.held, claimed });
      this.#held += to.held - own.held;
      own = to;
    };
    if (this.#useOf(caller).claimed + announced > this.#shareOf(caller)) return undefined;
    change({ held: 0, claimed: announced });
    return {
      resize: (bytes) => {
        const more = bytes - own.held;
        if (more > 0 && this.#useOf(caller).held + more > this.#shareOf(caller)) return false;
        change({ held: bytes, claimed: Math.max(announced, bytes) });
        return true;
      },
      release: () => change(NOTHING),
    };
  }

  #useOf(caller: string): Use {
    return this.#callers.get(caller) ?? NOTHING;
  }

  /** Half of what the others leave free. */
  #shareOf(caller: string): number {
    return (this.#max - (this.#held - this.#useOf(caller).held)) / 2;
  }
}
