/** Called after each commit with the number of rows and the duration in seconds. */
export type OnFlush = (rows: number, seconds: number) => void;

export interface FlushOptions<Item, Result> {
  /** Writes all items in one transaction and returns one result per item, in order. */
  flush: (items: readonly Item[]) => Promise<Result[]>;
  /**
   * Whether an error is the same for every item (the store is unavailable, the process stops), or a repeat could apply
   * an item twice. After any other error the flush is halved until the item that causes it fails alone, so `flush` must
   * have written nothing when it throws one.
   */
  failsAll: (error: unknown) => boolean;
  onFlush?: OnFlush | undefined;
}

/** An item of a flush, and its caller. */
export interface FlushEntry<Item, Result> {
  item: Item;
  rows: number;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/**
 * Flushes, and isolates the items that fail. That costs at most two flushes per item, however many fail.
 *
 * @param setAside takes the items that an error says belong into another flush, and returns the others to be flushed
 *   again; undefined where it takes none
 */
export async function flushIsolating<Item, Result, Entry extends FlushEntry<Item, Result>>(
  options: FlushOptions<Item, Result>,
  entries: readonly Entry[],
  setAside?: (error: unknown, entries: readonly Entry[]) => Entry[] | undefined,
): Promise<void> {
  const parts = [entries];
  for (let part = parts.pop(); part; part = parts.pop()) {
    const failure = await flushPart(options, part);
    if (!failure) continue;
    const others = setAside?.(failure.error, part);
    if (others !== undefined) {
      if (others.length > 0) parts.push(others);
      continue;
    }
    const failsAll = options.failsAll(failure.error);
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
async function flushPart<Item, Result>(
  { flush, onFlush }: FlushOptions<Item, Result>,
  entries: readonly FlushEntry<Item, Result>[],
): Promise<{ error: unknown } | undefined> {
  const startedAt = performance.now();
  let results: Result[];
  try {
    results = await flush(entries.map(({ item }) => item));
  } catch (error) {
    return { error };
  }
  onFlush?.(
    entries.reduce((sum, { rows }) => sum + rows, 0),
    (performance.now() - startedAt) / 1000,
  );
  for (const [index, { resolve }] of entries.entries()) resolve(results[index]!);
  return undefined;
}
