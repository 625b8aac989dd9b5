import type { Queryable } from "../pool.ts";
import { HAS_PLAIN_HEADERS } from "../schema/subscriptions.ts";
import type { SealedRow } from "./replace-sealed.ts";

const TEXT = `
  select id, secrets, headers from subscriptions where ${HAS_PLAIN_HEADERS} and id > $1 order by id limit $2`;

/** A page of the subscriptions with header values that are not sealed, deleted ones too. */
export async function findPlainHeaders(db: Queryable, after: string, limit: number): Promise<SealedRow[]> {
  const { rows } = await db.query<SealedRow>(TEXT, [after, limit]);
  return rows;
}
