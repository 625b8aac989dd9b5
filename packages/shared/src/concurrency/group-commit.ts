/** Called after each commit with the number of rows and the duration in seconds. */
export type OnFlush = (rows: number, seconds: number) => void;

/** Rejects an item when the buffer is full. Nothing was stored, so the caller may try again later. */
export class BufferFullError extends Error {
  constructor() {
    super("too much is waiting to be written");
    this.name = "BufferFullError";
  }
}

export interface GroupCommitOptions<Item, Result> {
  /** Writes all items in one transaction and returns one result per item, in order. */
  flush: (items: readonly Item[]) => Promise<Result[]>;
  /** Whether the data of one item caused an error. The flush is then halved until that item fails alone. */
  isDataError: (error: unknown) => boolean;
  /** How much of the limits below an item uses. */
  weigh: (item: Item) => { rows: number; bytes: number };
  /** Two items with a common key never share a flush, because a statement can't change a row twice. */
  keysOf?: (item: Item) => readonly string[];
  /** Concurrent flushes; 1 by default. Items with a common key may be in two of them. */
  maxFlushing?: number;
  /**
   * A flush of fewer than `enough` rows starts at the earliest `ms` after the start of the previous flush, if that had
   * `after` items or more. Without a pace it starts immediately.
   */
  pace?: { ms: number; after: number; enough: number };
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
 * Group commit: items that arrive while `maxFlushing` flushes run share the next one. Flushes grow with the load, and a
 * single caller never waits.
 */
export class GroupCommit<Item, Result> {
  readonly #options: GroupCommitOptions<Item, Result>;
  #waiting: Entry<Item, Result>[] = [];
  #waitingRows = 0;
  #waitingBytes = 0;
  #flushing = 0;
  /** The latest flush. */
  #last = { startedAt: Number.NEGATIVE_INFINITY, items: 0 };
  readonly #running = new Set<Promise<void>>();
  /** Start functions of the flushes that `pace` delays, longest delayed first. */
  readonly #paced = new Set<() => void>();

  constructor(options: GroupCommitOptions<Item, Result>) {
    this.#options = options;
  }

  get waitingRows(): number {
    return this.#waitingRows;
  }

  /**
   * Adds an item and waits until its flush is committed.
   *
   * @throws BufferFullError at the limits of `maxWaiting`; else the error of the flush
   */
  add(item: Item): Promise<Result> {
    const { rows, bytes } = this.#options.weigh(item);
    const { maxWaiting } = this.#options;
    const isFull = this.#waitingRows + rows > maxWaiting.rows || this.#waitingBytes + bytes > maxWaiting.bytes;
    if (isFull && this.#waiting.length > 0) return Promise.reject(new BufferFullError());
    return new Promise<Result>((resolve, reject) => {
      this.#waiting.push({ item, rows, bytes, resolve, reject });
      this.#waitingRows += rows;
      this.#waitingBytes += bytes;
      if (this.#flushing < (this.#options.maxFlushing ?? 1)) this.#start();
      if (this.#hasEnough()) this.#paced.values().next().value?.();
    });
  }

  /** Resolves when no item waits and no flush runs. */
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
    // Items of this turn of the event loop join the flush.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      await this.#pace();
      const entries = this.#take();
      // Another flush may have taken all items meanwhile.
      if (entries.length > 0) await this.#flush(entries);
    }
    // In the same turn as the check of #waiting, so that an item added later starts a new run.
    this.#flushing -= 1;
  }

  async #pace(): Promise<void> {
    const { pace } = this.#options;
    if (!pace || this.#last.items < pace.after) return;
    const waitMs = this.#last.startedAt + pace.ms - performance.now();
    if (waitMs <= 0 || this.#hasEnough()) return;
    await new Promise<void>((resolve) => {
      const start = () => {
        clearTimeout(timer);
        this.#paced.delete(start);
        resolve();
      };
      const timer = setTimeout(start, waitMs);
      this.#paced.add(start);
    });
  }

  #hasEnough(): boolean {
    return this.#waitingRows >= (this.#options.pace?.enough ?? Number.POSITIVE_INFINITY);
  }

  #take(): Entry<Item, Result>[] {
    const { maxFlush, keysOf } = this.#options;
    const taken: Entry<Item, Result>[] = [];
    const remaining: Entry<Item, Result>[] = [];
    const keys = new Set<string>();
    let rows = 0;
    let bytes = 0;
    let isFull = false;
    for (const entry of this.#waiting) {
      isFull ||= taken.length > 0 && (rows + entry.rows > maxFlush.rows || bytes + entry.bytes > maxFlush.bytes);
      const entryKeys = isFull ? [] : (keysOf?.(entry.item) ?? []);
      if (isFull || entryKeys.some((key) => keys.has(key))) {
        remaining.push(entry);
        continue;
      }
      for (const key of entryKeys) keys.add(key);
      rows += entry.rows;
      bytes += entry.bytes;
      taken.push(entry);
    }
    this.#waiting = remaining;
    this.#waitingRows -= rows;
    this.#waitingBytes -= bytes;
    return taken;
  }

  async #flush(entries: readonly Entry<Item, Result>[]): Promise<void> {
    const startedAt = performance.now();
    this.#last = { startedAt, items: entries.length };
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
      (performance.now() - startedAt) / 1000,
    );
    for (const [index, { resolve }] of entries.entries()) resolve(results[index]!);
  }
}
