import type { Queryable } from "../pool.ts";
import type { Sealed } from "../schema/subscriptions.ts";
import type { SealedAnswer } from "./list-sealed-answers.ts";

export interface ReplacedAnswer {
  before: SealedAnswer;
  after: Sealed;
}

const TEXT = `
  update idempotency_keys k set answer = g.new_answer
  from jsonb_to_recordset($1) g (tenant text, key text, answer jsonb, new_answer jsonb)
  where k.tenant = g.tenant and k.key = g.key and k.answer = g.answer`;

/** Stores answers that were sealed again, but for keys that have another answer meanwhile. @returns how many */
export async function replaceAnswers(db: Queryable, answers: readonly ReplacedAnswer[]): Promise<number> {
  const given = answers.map(({ before, after }) => ({ ...before, new_answer: after }));
  const { rowCount } = await db.query(TEXT, [JSON.stringify(given)]);
  return rowCount ?? 0;
}
