import { familyRange } from "../../core/ids/id-range.ts";
import type { Queryable } from "../pool.ts";

const TEXT = "select id from attempts where id = any ($1) and id between $2 and $3 and not superseded";

/** Finds which of the given attempts (at least one) were recorded together with the transition of their delivery. */
export async function findRecorded(db: Queryable, attemptIds: readonly string[]): Promise<Set<string>> {
  const { from, to } = familyRange(attemptIds);
  const { rows } = await db.query<{ id: string }>(TEXT, [attemptIds, from, to]);
  return new Set(rows.map(({ id }) => id));
}
