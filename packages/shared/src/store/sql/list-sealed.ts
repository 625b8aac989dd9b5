import type { Queryable } from "../pool.ts";
import type { SealedRow } from "./replace-sealed.ts";

const TEXT = "select id, secrets, headers from subscriptions where id > $1 order by id limit $2";

/** A page of what is sealed in subscriptions, deleted ones too. */
export async function listSealed(db: Queryable, after: string, limit: number): Promise<SealedRow[]> {
  const { rows } = await db.query<SealedRow>(TEXT, [after, limit]);
  return rows;
}
