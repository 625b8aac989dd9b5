import { familyRange } from "../../core/ids/id-range.ts";
import type { Queryable } from "../pool.ts";

export interface PolledRow {
  id: string;
  state: "pending" | "held";
}

const TEXT = `
  select id, state from deliveries
  where id = any ($1::uuid[]) and id between $2 and $3 and state in ('pending', 'held')`;

/**
 * Reads which of the released deliveries are still pending and which are held again.
 *
 * @param ids at least one
 * @returns no row for a delivery in any other state
 */
export async function pollReleasedRows(db: Queryable, ids: readonly string[]): Promise<PolledRow[]> {
  const { from, to } = familyRange(ids);
  const { rows } = await db.query<PolledRow>({ name: "where-are", text: TEXT, values: [ids, from, to] });
  return rows;
}
