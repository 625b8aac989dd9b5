import { firstIdAt, idAfter, MAX_ID, MIN_ID, type IdRange } from "@postrider/shared/core/ids/id-range.ts";
import type { Order, Paging, Walked } from "@postrider/shared/store/bounded-list.ts";

export interface Page<Item> {
  data: Item[];
  nextCursor: string | null;
}

export const EMPTY_PAGE: Page<never> = { data: [], nextCursor: null };

interface PageFilter {
  limit: number;
  /** By default newest first. */
  order?: Order | undefined;
  cursor?: string | undefined;
  /** Unix milliseconds. */
  since?: number | undefined;
  until?: number | undefined;
}

/**
 * What a list reads for a page: one row more than it shows, which means that there is a next page.
 *
 * @param range of all the ids that the list may have
 */
export function pagingOf({ limit, order = "desc", cursor, since, until }: PageFilter, range?: IdRange): Paging {
  const ends = [until === undefined ? undefined : firstIdAt(until), range?.to, MAX_ID];
  const starts = [since === undefined ? undefined : firstIdAt(since), range?.from, MIN_ID];
  if (order === "desc") ends.push(cursor);
  else if (cursor !== undefined) starts.push(idAfter(cursor));
  return { order, before: defined(ends).sort()[0]!, from: defined(starts).sort().at(-1)!, limit: limit + 1 };
}

const defined = (ids: readonly (string | undefined)[]): string[] => ids.filter((id) => id !== undefined);

/**
 * One page of a list. It may be empty and still have a cursor: the next call goes on where this one had walked enough.
 *
 * @param cursorOf the public id that the next page starts after
 */
export function toPage<Row extends Walked, Item>(
  rows: readonly Row[],
  limit: number,
  present: (row: Row) => Item,
  cursorOf: (row: Row) => string,
): Page<Item> {
  const found = rows.filter(({ matches }) => matches);
  const shown = found.slice(0, limit);
  const last = found.length > limit ? shown.at(-1) : rows.find(({ isLast }) => isLast);
  return { data: shown.map(present), nextCursor: last ? cursorOf(last) : null };
}
