import { CallerCounts } from "./caller-counts.ts";

/** Of the places that the others leave free, what one caller may use: it never takes the last ones. */
export const SHARE_OF_FREE = 0.5;
/** A slot rests for this many times as long as its read took, at most so long. */
const REST = 6;
const MAX_REST_MS = 1_000;

interface Waiting {
  caller: string;
  start: () => void;
}

/**
 * How many reads run at once. A slot rests after each read: a list takes half a millisecond of the process that accepts
 * events, and readers without a pause would take all of it. The busier the machine is, the longer a read takes, and the
 * longer its slot rests.
 */
export class ReadSlots {
  readonly #max: number;
  readonly #taken = new CallerCounts();
  /** In the order of their arrival. */
  readonly #waiting: Waiting[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** Runs a read when its caller has a slot. */
  async run<T>(caller: string, read: () => Promise<T> | T): Promise<T> {
    if (this.#hasRoom(caller)) this.#taken.change(caller, 1);
    else await new Promise<void>((start) => this.#waiting.push({ caller, start }));
    const startedAt = performance.now();
    try {
      return await read();
    } finally {
      const restMs = Math.min(MAX_REST_MS, (performance.now() - startedAt) * REST);
      setTimeout(() => this.#free(caller), restMs).unref();
    }
  }

  #hasRoom(caller: string): boolean {
    const max = Math.ceil(this.#taken.leftFor(caller, this.#max) * SHARE_OF_FREE);
    return this.#taken.total < this.#max && this.#taken.of(caller) < max;
  }

  #free(caller: string): void {
    this.#taken.change(caller, -1);
    // One slot that is free may be room for several callers: each may use a share of what the others leave.
    for (let index; (index = this.#waiting.findIndex((one) => this.#hasRoom(one.caller))) >= 0;) {
      const [next] = this.#waiting.splice(index, 1);
      this.#taken.change(next!.caller, 1);
      next!.start();
    }
  }
}
