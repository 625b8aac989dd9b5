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
  /**
   * Whether an error is the same for every item (the store is unavailable, the process stops), or a repeat could apply
   * an item twice. After any other error the flush is halved until the item that causes it fails alone, so `flush` must
   * have written nothing when it throws one.
   */
  failsAll: (error: unknown) => boolean;
  /** How much of the limits below an item uses. */
  weigh: (item: Item) => { rows: number; bytes: number };
  /**
   * What an item costs beyond its rows and bytes, as far as is known now; usually 0. Items with a load share flushes of
   * their own, and leave one of the concurrent flushes to the other items.
   */
  loadOf?: (item: Item) => number;
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
  maxFlush: { rows: number; bytes: number; load?: number };
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
  /** How many of them have a load. */
  #flushingLoads = 0;
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
      const { taken, load } = this.#take();
      // Another flush has taken all items meanwhile, or will take the ones with a load when it is done.
      if (taken.length === 0) break;
      if (load > 0) this.#flushingLoads += 1;
      await this.#flush(taken);
      if (load > 0) this.#flushingLoads -= 1;
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

  #take(): { taken: Entry<Item, Result>[]; load: number } {
    const { maxFlush, maxFlushing = 1, keysOf, loadOf } = this.#options;
    const maxLoad = maxFlush.load ?? Number.POSITIVE_INFINITY;
    const canTakeLoad = this.#flushingLoads < Math.max(1, maxFlushing - 1);
    const taken: Entry<Item, Result>[] = [];
    const remaining: Entry<Item, Result>[] = [];
    const keys = new Set<string>();
    let rows = 0;
    let bytes = 0;
    let load = 0;
    let isFull = false;
    for (const entry of this.#waiting) {
      isFull ||= taken.length > 0 && (rows + entry.rows > maxFlush.rows || bytes + entry.bytes > maxFlush.bytes);
      const entryLoad = isFull ? 0 : (loadOf?.(entry.item) ?? 0);
      const isApart =
        taken.length === 0
          ? entryLoad > 0 && !canTakeLoad
          : entryLoad > 0 !== load > 0 || (entryLoad > 0 && load + entryLoad > maxLoad);
      const entryKeys = isFull || isApart ? [] : (keysOf?.(entry.item) ?? []);
      if (isFull || isApart || entryKeys.some((key) => keys.has(key))) {
        remaining.push(entry);
        continue;
      }
      for (const key of entryKeys) keys.add(key);
      rows += entry.rows;
      bytes += entry.bytes;
      load += entryLoad;
      taken.push(entry);
    }
    this.#waiting = remaining;
    this.#waitingRows -= rows;
    this.#waitingBytes -= bytes;
    return { taken, load };
  }

  /** Flushes, and isolates the items that fail. That costs at most two flushes per item, however many fail. */
  async #flush(entries: Entry<Item, Result>[]): Promise<void> {
    this.#last = { startedAt: performance.now(), items: entries.length };
    const parts = [entries];
    for (let part = parts.pop(); part; part = parts.pop()) {
      const failure = await this.#flushPart(part);
      if (!failure) continue;
      const failsAll = this.#options.failsAll(failure.error);
      if (!failsAll && part.length > 1) {
        const middle = part.length >> 1;
        parts.push(part.slice(middle), part.slice(0, middle));
        continue;
      }
      // Each of the other parts would wait for the same timeout.
      const failed = failsAll ? [part, ...parts.splice(0)].flat() : part;
      for (const { reject } of failed) reject(failure.error);
    }
  }

  /** @returns undefined if it was committed */
  async #flushPart(entries: readonly Entry<Item, Result>[]): Promise<{ error: unknown } | undefined> {
    const startedAt = performance.now();
    let results: Result[];
    try {
      results = await this.#options.flush(entries.map(({ item }) => item));
    } catch (error) {
      return { error };
    }
    this.#options.onFlush?.(
      entries.reduce((sum, { rows }) => sum + rows, 0),
      (performance.now() - startedAt) / 1000,
    );
    for (const [index, { resolve }] of entries.entries()) resolve(results[index]!);
    return undefined;
  }
}
