import { flushIsolating, type FlushEntry, type FlushOptions } from "./isolating-flush.ts";
import { exceeds, WaitingItems, type Weight } from "./waiting-items.ts";

/** Rejects an item when the buffer is full. Nothing was stored, so the caller may try again later. */
export class BufferFullError extends Error {
  constructor() {
    super("too much is waiting to be written");
    this.name = "BufferFullError";
  }
}

export interface GroupCommitOptions<Item, Result> extends FlushOptions<Item, Result> {
  /** How much of the limits below an item uses. */
  weigh: (item: Item) => Weight;
  /**
   * What an item costs beyond its rows and bytes, as far as is known now; usually 0. Items with a load share flushes of
   * their own, take turns by their owners, and leave one of the concurrent flushes and part of the buffer to the others.
   */
  loadOf?: (item: Item) => number;
  /** Whether an error of a flush without a load means that some of its items have one, as loadOf() says now. */
  isUnknownLoad?: (error: unknown) => boolean;
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
  maxFlush: { rows: number; bytes: number; load?: number };
  maxWaiting: Weight;
}

interface Entry<Item, Result> extends Weight, FlushEntry<Item, Result> {
  owner: string | undefined;
  turn: number;
  /** Its place among all items ever added. */
  order: number;
}

/**
 * Group commit: items that arrive while `maxFlushing` flushes run share the next one. Flushes grow with the load, and a
 * single caller never waits.
 */
export class GroupCommit<Item, Result> {
  readonly #options: GroupCommitOptions<Item, Result>;
  /** Items without a load, as far as was known when they were added. */
  readonly #waiting = new WaitingItems<Entry<Item, Result>>({ inTurns: false });
  readonly #waitingLoads = new WaitingItems<Entry<Item, Result>>({ inTurns: true });
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
    const waiting = { rows: this.waitingRows, bytes: this.#waiting.bytes + this.#waitingLoads.bytes };
    const isFull = waiting.rows > 0 && exceeds(waiting, { rows, bytes }, this.#options.maxWaiting);
    if (isFull) return Promise.reject(new BufferFullError());
    return new Promise<Result>((resolve, reject) => {
      const entry = {
        item,
        rows,
        bytes,
        owner: this.#options.ownerOf?.(item),
        turn: 0,
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
      this.#last = { startedAt: performance.now(), items: taken.length };
      await flushIsolating(this.#options, taken, (error, entries) => this.#setLoadsAside(error, entries));
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
    const sum = { rows: 0, bytes: 0 };
    let load = 0;
    waiting.remove((entry) => {
      if (taken.length > 0 && exceeds(sum, entry, maxFlush)) return "stop";
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
      sum.rows += entry.rows;
      sum.bytes += entry.bytes;
      load += entryLoad;
      taken.push(entry);
      return "remove";
    });
    return { taken, load };
  }

  /** Moves the items that turned out to have a load to the other waiting ones. Nothing of their flush was written. */
  #setLoadsAside(error: unknown, entries: readonly Entry<Item, Result>[]): Entry<Item, Result>[] | undefined {
    if (!this.#options.isUnknownLoad?.(error)) return undefined;
    const loads = entries.filter(({ item }) => this.#loadOf(item) > 0);
    if (loads.length === 0) return undefined;
    for (const entry of loads) this.#addLoad(entry);
    const aside = new Set(loads);
    return entries.filter((entry) => !aside.has(entry));
  }

  #loadOf(item: Item): number {
    return this.#options.loadOf?.(item) ?? 0;
  }

  /**
   * Loads drain slowly, so they may have half of the buffer, and one owner's half of that. Two owners could fill it, so
   * one item of any other owner may have a place beyond.
   */
  #addLoad(entry: Entry<Item, Result>): void {
    const { rows, bytes } = this.#options.maxWaiting;
    const share = this.#waitingLoads.hasOwnerOf(entry) ? 1 / 2 : 3 / 4;
    const isFull =
      this.#waitingLoads.isFullFor(entry, { rows: rows * share, bytes: bytes * share }) ||
      this.#waitingLoads.isFullForOwner(entry, { rows: rows / 4, bytes: bytes / 4 });
    if (isFull) entry.reject(new BufferFullError());
    else this.#waitingLoads.add(entry);
  }

  #canTakeLoad(): boolean {
    return this.#flushingLoads < Math.max(1, (this.#options.maxFlushing ?? 1) - 1);
  }
}
