import type { Queryable } from "../pool.ts";
import type { Sealed } from "../schema/index.ts";

export interface NewAnswer {
  tenant: string;
  key: string;
  hash: Buffer;
  answer: Sealed;
}

const TEXT = `
  insert into idempotency_keys as k (tenant, key, body_hash, answer, expires_at)
  values ($1, $2, $3, $4, now() + interval '24 hours')
  on conflict (tenant, key) do update
  set body_hash = excluded.body_hash, event_id = null, answer = excluded.answer, expires_at = excluded.expires_at
  where k.expires_at <= now()`;

/**
 * Stores the answer to a request with an idempotency key. It waits for a transaction that has stored the same key and is
 * not committed yet.
 *
 * @returns false if the key is in use
 */
export async function storeAnswer(db: Queryable, { tenant, key, hash, answer }: NewAnswer): Promise<boolean> {
  const values = [tenant, key, hash, JSON.stringify(answer)];
  const { rowCount } = await db.query({ name: "store-answer", text: TEXT, values });
  return rowCount === 1;
}
