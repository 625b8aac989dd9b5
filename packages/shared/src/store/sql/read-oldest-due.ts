import type { Queryable } from "../pool.ts";

export interface OldestDue {
  /** The oldest batch with pending deliveries. Its id begins with the time at which they became pending. */
  pendingBatch: string | null;
  /** Seconds since the next retry was due; negative if it is not due yet. */
  retryingSeconds: number | null;
}

const TEXT = `
  select (select batch_id from deliveries where state = 'pending' order by batch_id limit 1) as "pendingBatch",
    (select extract(epoch from now() - next_attempt_at)::float8 from deliveries
     where state = 'retrying' order by next_attempt_at limit 1) as "retryingSeconds"`;

/** Reads the oldest due delivery of each lane; null for an empty lane. */
export async function readOldestDue(db: Queryable): Promise<OldestDue> {
  const { rows } = await db.query<OldestDue>(TEXT);
  return rows[0]!;
}
