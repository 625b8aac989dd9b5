/**
 * One page of a list.
 *
 * @param rows up to `limit` + 1 rows; the extra one means that there is a next page
 * @param cursorOf the public id that the next page starts after
 */
export function toPage<Row, Item>(
  rows: readonly Row[],
  limit: number,
  present: (row: Row) => Item,
  cursorOf: (row: Row) => string,
): { data: Item[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { data: shown.map(present), nextCursor: rows.length > limit && last ? cursorOf(last) : null };
}
