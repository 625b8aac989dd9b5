import type { Queryable } from "../pool.ts";

const TEXT = "select distinct batch_id as id from deliveries where state = 'pending' and batch_id = any ($1::uuid[])";

/** @returns the given batches that still have pending deliveries */
export async function findStillPending(db: Queryable, batchIds: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(TEXT, [batchIds]);
  return rows.map(({ id }) => id);
}
