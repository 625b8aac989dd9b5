/** Of all slots, what one key may use. */
const SHARE_OF_A_KEY = 0.5;
/** A slot rests for this many times as long as its read took, at most so long. */
const REST = 6;
const MAX_REST_MS = 1_000;

interface Waiting {
  key: string;
  start: () => void;
}

/**
 * How many reads run at once. A slot rests after each read: a list takes half a millisecond of the process that accepts
 * events, and readers without a pause would take all of it. The busier the machine is, the longer a read takes, and the
 * longer its slot rests.
 */
export class ReadSlots {
  readonly #max: number;
  readonly #maxOfKey: number;
  readonly #taken = new Map<string, number>();
  #count = 0;
  /** In the order of their arrival. */
  readonly #waiting: Waiting[] = [];

  constructor(max: number) {
    this.#max = max;
    this.#maxOfKey = Math.ceil(max * SHARE_OF_A_KEY);
  }

  /** Runs a read when its key has a slot. */
  async run<T>(key: string, read: () => Promise<T> | T): Promise<T> {
    if (this.#hasRoom(key)) this.#take(key);
    else await new Promise<void>((start) => this.#waiting.push({ key, start }));
    const startedAt = performance.now();
    try {
      return await read();
    } finally {
      const restMs = Math.min(MAX_REST_MS, (performance.now() - startedAt) * REST);
      setTimeout(() => this.#free(key), restMs).unref();
    }
  }

  #hasRoom(key: string): boolean {
    return this.#count < this.#max && (this.#taken.get(key) ?? 0) < this.#maxOfKey;
  }

  #take(key: string): void {
    this.#count += 1;
    this.#taken.set(key, (this.#taken.get(key) ?? 0) + 1);
  }

  #free(key: string): void {
    this.#count -= 1;
    const left = this.#taken.get(key)! - 1;
    if (left === 0) this.#taken.delete(key);
    else this.#taken.set(key, left);
    const index = this.#waiting.findIndex((waiting) => this.#hasRoom(waiting.key));
    if (index < 0) return;
    const [next] = this.#waiting.splice(index, 1);
    this.#take(next!.key);
    next!.start();
  }
}
