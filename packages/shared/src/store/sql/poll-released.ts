import { familyRange } from "../../core/ids/id-range.ts";
import type { Queryable } from "../pool.ts";

const TEXT = `
  select id from deliveries where id = any ($1::uuid[]) and id between $2 and $3 and state = 'pending'`;

/** @param ids at least one @returns the given deliveries that are still pending */
export async function pollReleasedRows(db: Queryable, ids: readonly string[]): Promise<string[]> {
  const { from, to } = familyRange(ids);
  const { rows } = await db.query<{ id: string }>({ name: "poll-released", text: TEXT, values: [ids, from, to] });
  return rows.map(({ id }) => id);
}
