/** Called after each commit: how many rows, and how long it took, in seconds. */
export type OnFlush = (rows: number, seconds: number) => void;

/** Thrown at callers when the buffer is full: the work was not taken, and may be offered again later. */
export class BufferFullError extends Error {
  constructor() {
    super("too much is waiting to be written");
    this.name = "BufferFullError";
  }
}

export interface GroupCommitOptions<Item, Result> {
  /** Writes all items in one transaction and answers one result per item, in order. */
  flush: (items: readonly Item[]) => Promise<Result[]>;
  /** Whether an error is the fault of some item's data, so that the flush is halved until that item stands alone. */
  isDataError: (error: unknown) => boolean;
  /** An item's part of the limits below. */
  weigh: (item: Item) => { rows: number; bytes: number };
  /** Two items that share a key never go into one flush (a statement cannot change one row twice). */
  keysOf?: (item: Item) => readonly string[];
  /** How many flushes may be under way at once; 1 where nothing is said. Items that share a key may be in two of them. */
  maxFlushing?: number;
  /**
   * A flush of fewer than `enough` rows begins no sooner than `ms` after the one before it began, where that one had at least
   * `after` items; at once where nothing is said.
   */
  pace?: { ms: number; after: number; enough: number };
  /** Told of each flush that was committed. */
  onFlush?: OnFlush | undefined;
  maxFlush: { rows: number; bytes: number };
  maxWaiting: { rows: number; bytes: number };
}

interface Entry<Item, Result> {
  item: Item;
  rows: number;
  bytes: number;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/**
 * Group commit: what arrives while as many flushes are under way as may be goes into the next, so batches grow with load
 * and an idle caller waits for nobody.
 */
export class GroupCommit<Item, Result> {
  readonly #options: GroupCommitOptions<Item, Result>;
  #waiting: Entry<Item, Result>[] = [];
  #waitingRows = 0;
  #waitingBytes = 0;
  #flushing = 0;
  /** The last flush. */
  #last = { beganAt: Number.NEGATIVE_INFINITY, items: 0 };
  readonly #running = new Set<Promise<void>>();
  /** Ends the waits of flushes that keep their distance, the longest first. */
  readonly #paced = new Set<() => void>();

  constructor(options: GroupCommitOptions<Item, Result>) {
    this.#options = options;
  }

  get waitingRows(): number {
    return this.#waitingRows;
  }

  /**
   * Hands an item in and waits until its flush is committed.
   *
   * @throws BufferFullError where the limits on what waits are reached; else what the flush threw
   */
  add(item: Item): Promise<Result> {
    const { rows, bytes } = this.#options.weigh(item);
    const { maxWaiting } = this.#options;
    const full = this.#waitingRows + rows > maxWaiting.rows || this.#waitingBytes + bytes > maxWaiting.bytes;
    if (full && this.#waiting.length > 0) return Promise.reject(new BufferFullError());
    return new Promise<Result>((resolve, reject) => {
      this.#waiting.push({ item, rows, bytes, resolve, reject });
      this.#waitingRows += rows;
      this.#waitingBytes += bytes;
      if (this.#flushing < (this.#options.maxFlushing ?? 1)) this.#start();
      if (this.#hasEnough()) this.#paced.values().next().value?.();
    });
  }

  /** Resolves when nothing is waiting or under way. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #start(): void {
    this.#flushing += 1;
    const running = this.#run();
    this.#running.add(running);
    void running.then(() => this.#running.delete(running));
  }

  async #run(): Promise<void> {
    // Let everything that arrived in this turn of the event loop come along.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      await this.#pace();
      const entries = this.#take();
      // Meanwhile another flush may have taken all.
      if (entries.length > 0) await this.#flush(entries);
    }
    // In the same turn as the look at what waits: what is added after it must find that nobody runs.
    this.#flushing -= 1;
  }

  async #pace(): Promise<void> {
    const { pace } = this.#options;
    if (!pace || this.#last.items < pace.after) return;
    const waitMs = this.#last.beganAt + pace.ms - performance.now();
    if (waitMs <= 0 || this.#hasEnough()) return;
    await new Promise<void>((resolve) => {
      const begin = () => {
        clearTimeout(timer);
        this.#paced.delete(begin);
        resolve();
      };
      const timer = setTimeout(begin, waitMs);
      this.#paced.add(begin);
    });
  }

  #hasEnough(): boolean {
    return this.#waitingRows >= (this.#options.pace?.enough ?? Number.POSITIVE_INFINITY);
  }

  #take(): Entry<Item, Result>[] {
    const { maxFlush, keysOf } = this.#options;
    const taken: Entry<Item, Result>[] = [];
    const left: Entry<Item, Result>[] = [];
    const keys = new Set<string>();
    let rows = 0;
    let bytes = 0;
    let full = false;
    for (const entry of this.#waiting) {
      full ||= taken.length > 0 && (rows + entry.rows > maxFlush.rows || bytes + entry.bytes > maxFlush.bytes);
      const itsKeys = full ? [] : (keysOf?.(entry.item) ?? []);
      if (full || itsKeys.some((key) => keys.has(key))) {
        left.push(entry);
        continue;
      }
      for (const key of itsKeys) keys.add(key);
      rows += entry.rows;
      bytes += entry.bytes;
      taken.push(entry);
    }
    this.#waiting = left;
    this.#waitingRows -= rows;
    this.#waitingBytes -= bytes;
    return taken;
  }

  async #flush(entries: readonly Entry<Item, Result>[]): Promise<void> {
    const beganAt = performance.now();
    this.#last = { beganAt, items: entries.length };
    let results: Result[];
    try {
      results = await this.#options.flush(entries.map(({ item }) => item));
    } catch (error) {
      if (entries.length === 1 || !this.#options.isDataError(error)) {
        for (const { reject } of entries) reject(error);
        return;
      }
      const middle = entries.length >> 1;
      await this.#flush(entries.slice(0, middle));
      await this.#flush(entries.slice(middle));
      return;
    }
    this.#options.onFlush?.(
      entries.reduce((sum, { rows }) => sum + rows, 0),
      (performance.now() - beganAt) / 1000,
    );
    for (const [index, { resolve }] of entries.entries()) resolve(results[index]!);
  }
}
