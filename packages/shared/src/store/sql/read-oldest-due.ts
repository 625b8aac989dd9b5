import type { Queryable } from "../pool.ts";

export interface OldestDue {
  /** The oldest batch with pending deliveries. Its id begins with the time at which they became pending. */
  pendingBatch: string | null;
  /** Seconds that the next retry is past due; negative where it is not due yet. */
  retryingSeconds: number | null;
}

const TEXT = `
  select (select batch_id from deliveries where state = 'pending' order by batch_id limit 1) as "pendingBatch",
    (select extract(epoch from now() - next_attempt_at)::float8 from deliveries
     where state = 'retrying' order by next_attempt_at limit 1) as "retryingSeconds"`;

/** Reads the oldest delivery of each lane. Null where a lane has none. */
export async function readOldestDue(db: Queryable): Promise<OldestDue> {
  const { rows } = await db.query<OldestDue>(TEXT);
  return rows[0]!;
}
