import { familyRange } from "../../core/ids/id-range.ts";
import type { Queryable } from "../pool.ts";

export interface DueRow {
  id: string;
  cycle: number;
}

const TEXT = `
  select id, cycle from deliveries where id = any ($1::uuid[]) and id between $2 and $3
    and state = 'retrying' and next_attempt_at < now() - $4 * interval '1 millisecond'`;

/**
 * Finds the given deliveries that are still retrying and have been due for longer than `graceMs`.
 *
 * @param ids at least one
 */
export async function findStillDue(db: Queryable, ids: readonly string[], graceMs: number): Promise<DueRow[]> {
  const { from, to } = familyRange(ids);
  const { rows } = await db.query<DueRow>(TEXT, [ids, from, to, graceMs]);
  return rows;
}
