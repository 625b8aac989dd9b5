import type { Queryable } from "../pool.ts";
import type { Sealed } from "../schema/subscriptions.ts";

export interface SealedAnswer {
  tenant: string;
  key: string;
  answer: Sealed;
}

/** The answers have no index of their own, and are few among the keys of events: the table is read block by block. */
const TEXT = `
  select tenant, key, answer from idempotency_keys
  where ctid >= format('(%s,0)', $1::bigint)::tid and ctid < format('(%s,0)', $2::bigint)::tid
    and answer is not null and expires_at > now()`;
const BLOCKS = `
  select (pg_relation_size('idempotency_keys') / current_setting('block_size')::bigint)::float8 as blocks`;

/** The sealed answers in some blocks of the table. */
export async function listSealedAnswers(db: Queryable, from: number, to: number): Promise<SealedAnswer[]> {
  const { rows } = await db.query<SealedAnswer>(TEXT, [from, to]);
  return rows;
}

/** How many blocks the table has. */
export async function countAnswerBlocks(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ blocks: number }>(BLOCKS);
  return rows[0]!.blocks;
}
