import type { Pool } from "@postrider/shared/store/pool.ts";

/** A delivery as Postgres has it. */
export interface Row {
  id: string;
  state: string;
  batchId: string | null;
  cycle: number;
  attemptCount: number;
}

export async function readRows(pool: Pool): Promise<Row[]> {
  const { rows } = await pool.query<Row>(
    `select id, state, batch_id as "batchId", cycle, attempt_count as "attemptCount" from deliveries order by id`,
  );
  return rows;
}

export async function readRow(pool: Pool, id: string): Promise<Row> {
  return (await readRows(pool)).find((row) => row.id === id)!;
}
