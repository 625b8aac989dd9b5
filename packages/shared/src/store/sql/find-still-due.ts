import { familyRange } from "../../core/ids/id-range.ts";
import type { Queryable } from "../pool.ts";

export interface DueRow {
  id: string;
  cycle: number;
}

// `offset 0` keeps the state away from the look-up by id: the index of that state has all that are retrying.
const TEXT = `
  select id, cycle from (
    select id, cycle, state, next_attempt_at from deliveries where id = any ($1::uuid[]) and id between $2 and $3 offset 0
  ) d
  where state = 'retrying' and next_attempt_at < now() - $4 * interval '1 millisecond'`;

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
