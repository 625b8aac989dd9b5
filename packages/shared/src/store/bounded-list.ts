import type { QueryResultRow } from "pg";
import { isCancelled } from "./errors.ts";
import { STEADY_PLANS, type Queryable } from "./pool.ts";

/** A call of a list reads this many rows at most, whatever its filters. */
export const MAX_WALKED = 10_000;
/** And so many where reading the others took too long: rows that are on no page of the cache, a busy disk. */
const FEWER_WALKED = MAX_WALKED / 10;

/**
 * Server settings of the connections for the lists, over those of STEADY_PLANS: they leave the planner only the index
 * that has the order of a list. With another one and a sort it could read every row that the filters leave out.
 */
export const READ_PLANS = `${STEADY_PLANS} -c enable_sort=off -c enable_incremental_sort=off -c enable_bitmapscan=off`;

/** A row of a list's walk. */
export interface Walked {
  id: string;
  /** Whether the filters let it through. Of the others only the last of the walk is returned. */
  matches: boolean;
  /** The walk ended here, and there may be more. */
  isLast: boolean;
}

/** By id: newest or oldest first. */
export type Order = "desc" | "asc";

/** What every list is given. */
export interface Paging {
  order: Order;
  /** Ids from `from` (inclusive) to `before` (exclusive). */
  from: string;
  before: string;
  /** How many rows to return at most. */
  limit: number;
}

/**
 * Reads a page of a list by its statement, and once more with a shorter walk where the statement was ended by its
 * timeout: otherwise the same cursor would fail again and again.
 *
 * @param filters the values from $5 on
 */
export async function readList<Row extends QueryResultRow & Walked>(
  db: Queryable,
  { name, texts }: { name: string; texts: Readonly<Record<Order, string>> },
  { order, before, from, limit }: Paging,
  filters: readonly unknown[],
): Promise<Row[]> {
  const statement = { name: `${name}-${order}`, text: texts[order] };
  const read = async (walk: number) =>
    (await db.query<Row>({ ...statement, values: [before, from, limit, walk, ...filters] })).rows;
  try {
    return await read(MAX_WALKED);
  } catch (error) {
    if (!isCancelled(error)) throw error;
    return read(FEWER_WALKED);
  }
}

/**
 * The statements of a list: each walks an index between $1 and $2 for $4 rows at most, and applies the filters to these.
 * It stops after $3 rows that match, or returns the last row of the walk, for the next call to go on from.
 *
 * The columns of the index are compared as a row, because with `key = value` the primary key has the wanted order too,
 * and the planner might filter all rows by the key. The range of ids prunes partitions.
 *
 * @param walk.key the first column of the index, and the SQL expression of its value; undefined for the primary key
 * @param walk.isDead the index is one of dead letters
 * @param filter SQL condition on the columns of the table
 */
export function boundedList(
  table: string,
  columns: string,
  walk: { key?: { column: string; value: string } | undefined; isDead?: boolean },
  filter: string,
): Readonly<Record<Order, string>> {
  const order = (id: string) => (walk.isDead ? `uuid_send(${id})` : id);
  const { key } = walk;
  const row = (id: string) => (key ? `(${key.value}, ${order(id)})` : order(id));
  const indexed = key ? `(${key.column}, ${order("id")})` : order("id");
  const text = (direction: Order): string => `
  select ${columns}, matches, n = $4 as "isLast" from (
    select *, (${filter}) is true as matches, row_number() over () as n from (
      select * from ${table}
      where ${indexed} < ${row("$1::uuid")} and ${indexed} >= ${row("$2::uuid")} and id < $1::uuid and id >= $2::uuid
        ${walk.isDead ? "and state = 'dead'" : ""}
      order by ${key ? `${key.column} ${direction}, ` : ""}${order("id")} ${direction} limit $4::int
    ) walked
  ) judged
  where matches or n = $4 limit $3`;
  return { desc: text("desc"), asc: text("asc") };
}
