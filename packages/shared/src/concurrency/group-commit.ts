import { WaitingItems, type Weight } from "./waiting-items.ts";

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
  weigh: (item: Item) => Weight;
  /**
   * What an item costs beyond its rows and bytes, as far as is known now; usually 0. Items with a load share flushes of
   * their own, and leave one of the concurrent flushes and half of the buffer to the other items.
   */
  loadOf?: (item: Item) => number;
  /** Whose item it is. Items with a load of one owner may have a quarter of the buffer. */
  ownerOf?: (item: Item) => string;
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
  maxWaiting: Weight;
}

interface Entry<Item, Result> extends Weight {
  item: Item;
  owner: string | undefined;
  /** Its place among all items ever added. */
  order: number;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/**
 * Group commit: items that arrive while `maxFlushing` flushes run share the next one. Flushes grow with the load, and a
 * single caller never waits.
 */
export class GroupCommit<Item, Result> {
  readonly #options: GroupCommitOptions<Item, Result>;
  /** Items without a load, as far as was known when they were added. */
  readonly #waiting = new WaitingItems<Entry<Item, Result>>();
  readonly #waitingLoads = new WaitingItems<Entry<Item, Result>>();
  #added = 0;
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
    return this.#waiting.rows + this.#waitingLoads.rows;
  }

  /**
   * Adds an item and waits until its flush is committed.
   *
   * @throws BufferFullError at the limits of `maxWaiting`, also after a while if its load becomes known; else the error
   *   of the flush
   */
  add(item: Item): Promise<Result> {
    const { rows, bytes } = this.#options.weigh(item);
    const { maxWaiting } = this.#options;
    const waitingBytes = this.#waiting.bytes + this.#waitingLoads.bytes;
    const isFull = this.waitingRows + rows > maxWaiting.rows || waitingBytes + bytes > maxWaiting.bytes;
    if (isFull && this.waitingRows > 0) return Promise.reject(new BufferFullError());
    return new Promise<Result>((resolve, reject) => {
      const entry = {
        item,
        rows,
        bytes,
        owner: this.#options.ownerOf?.(item),
        order: (this.#added += 1),
        resolve,
        reject,
      };
      if (this.#loadOf(item) > 0) this.#addLoad(entry);
      else this.#waiting.add(entry);
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
    while (this.waitingRows > 0) {
      await this.#pace();
      const { taken, load } = this.#take();
      // Another flush has taken all items meanwhile, or will take the ones with a load when it is done.
      if (taken.length === 0) break;
      if (load > 0) this.#flushingLoads += 1;
      await this.#flush(taken);
      if (load > 0) this.#flushingLoads -= 1;
    }
    // In the same turn as the check of what waits, so that an item added later starts a new run.
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
    const rows = this.#waiting.rows + (this.#canTakeLoad() ? this.#waitingLoads.rows : 0);
    return rows >= (this.#options.pace?.enough ?? Number.POSITIVE_INFINITY);
  }

  /** Takes the next flush: items with a load, or others, whichever have waited longer. */
  #take(): { taken: Entry<Item, Result>[]; load: number } {
    const oldestLoad = this.#canTakeLoad() ? this.#waitingLoads.first : undefined;
    const oldest = this.#waiting.first;
    if (oldestLoad && (!oldest || oldestLoad.order < oldest.order)) return this.#takeFrom(this.#waitingLoads);
    const others = this.#takeFrom(this.#waiting);
    return others.taken.length === 0 && this.#canTakeLoad() ? this.#takeFrom(this.#waitingLoads) : others;
  }

  #takeFrom(waiting: WaitingItems<Entry<Item, Result>>): { taken: Entry<Item, Result>[]; load: number } {
    const { maxFlush, keysOf } = this.#options;
    const maxLoad = maxFlush.load ?? Number.POSITIVE_INFINITY;
    const taken: Entry<Item, Result>[] = [];
    const keys = new Set<string>();
    let rows = 0;
    let bytes = 0;
    let load = 0;
    waiting.remove((entry) => {
      if (taken.length > 0 && (rows + entry.rows > maxFlush.rows || bytes + entry.bytes > maxFlush.bytes))
        return "stop";
      const entryLoad = this.#loadOf(entry.item);
      if (entryLoad > 0 && waiting === this.#waiting) {
        // Its load became known while it waited.
        this.#addLoad(entry);
        return "remove";
      }
      if (taken.length > 0 && load + entryLoad > maxLoad) return "stop";
      const entryKeys = keysOf?.(entry.item) ?? [];
      if (entryKeys.some((key) => keys.has(key))) return "leave";
      for (const key of entryKeys) keys.add(key);
      rows += entry.rows;
      bytes += entry.bytes;
      load += entryLoad;
      taken.push(entry);
      return "remove";
    });
    return { taken, load };
  }

  #loadOf(item: Item): number {
    return this.#options.loadOf?.(item) ?? 0;
  }

  /** Loads drain slowly, so they may have half of the buffer, and one owner's half of that. */
  #addLoad(entry: Entry<Item, Result>): void {
    const { rows, bytes } = this.#options.maxWaiting;
    const isFull =
      this.#waitingLoads.isFullFor(entry, { rows: rows / 2, bytes: bytes / 2 }) ||
      this.#waitingLoads.isFullForOwner(entry, { rows: rows / 4, bytes: bytes / 4 });
    if (isFull) entry.reject(new BufferFullError());
    else this.#waitingLoads.add(entry);
  }

  #canTakeLoad(): boolean {
    return this.#flushingLoads < Math.max(1, (this.#options.maxFlushing ?? 1) - 1);
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
