import { MIN_ID } from "../../core/ids/id-range.ts";
import type { Queryable } from "../pool.ts";

export interface PastDueRetry {
  id: string;
  cycle: number;
  tenant: string;
  /** A timestamp as Postgres prints it. */
  due: string;
  eventType: string;
  /** Null if the subscription's row is missing. */
  url: string | null;
}

const BEFORE_ALL = { due: "-infinity", id: MIN_ID };

const text = (limit: number): string => `
  select d.id, d.cycle, d.tenant, d.next_attempt_at::text as due, d.event_type as "eventType", s.url
  from deliveries d left join subscriptions s on s.id = d.subscription_id
  where d.state = 'retrying' and d.next_attempt_at < now() - $3 * interval '1 millisecond'
    and (d.next_attempt_at, d.id) > ($1::timestamptz, $2::uuid)
  order by d.next_attempt_at, d.id limit ${limit}`;

/**
 * Finds up to `limit` retrying deliveries that have been due for longer than `graceMs`, longest due first.
 *
 * @param after the last row of the previous page; undefined for the first page
 */
export async function findPastDueRetries(
  db: Queryable,
  after: Pick<PastDueRetry, "due" | "id"> | undefined,
  graceMs: number,
  limit: number,
): Promise<PastDueRetry[]> {
  const { due, id } = after ?? BEFORE_ALL;
  const { rows } = await db.query<PastDueRetry>(text(limit), [due, id, graceMs]);
  return rows;
}
