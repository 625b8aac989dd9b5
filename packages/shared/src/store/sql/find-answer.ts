import type { Queryable } from "../pool.ts";
import type { Sealed } from "../schema/index.ts";

export interface AnswerRow {
  bodyHash: Buffer;
  answer: Sealed;
}

const TEXT = `
  select body_hash as "bodyHash", answer from idempotency_keys
  where tenant = $1 and key = $2 and answer is not null and expires_at > now()`;

/** @returns the answer of the request that used an idempotency key first; undefined if there is none */
export async function findAnswer(db: Queryable, tenant: string, key: string): Promise<AnswerRow | undefined> {
  const { rows } = await db.query<AnswerRow>({ name: "find-answer", text: TEXT, values: [tenant, key] });
  return rows[0];
}
