import type { Pool } from "pg";
import type { DeliveryState } from "../core/delivery/states.ts";
import { addJobs, retryJobId, retryJobOf, type Queues } from "../queue/queues.ts";
import { jobName } from "../queue/job-name.ts";

export type RetryResult =
  | { kind: "retrying"; cycle: number }
  | { kind: "not_found" }
  | { kind: "delivery_pending" }
  | { kind: "subscription_deleted" };

interface Row {
  state: DeliveryState;
  cycle: number | null;
  deleted: boolean;
  event_type: string;
  url: string;
}

/**
 * A manual retry: starts a new cycle of the delivery, with the whole schedule before it, due now. Postgres first; the
 * job is added after it, and where Redis is away the watchdog adds it.
 *
 * @param id the delivery, a UUID
 * @param tenant where given, a delivery of another tenant is not found
 */
export async function retryDelivery(pool: Pool, queues: Queues, id: string, tenant?: string): Promise<RetryResult> {
  const { rows } = await pool.query<Row>({
    name: "retry-delivery",
    text: `
      with found as (
        select d.id, d.state, d.event_type, s.url, s.deleted_at is not null as deleted
        from deliveries d join subscriptions s on s.id = d.subscription_id
        where d.id = $1 and ($2::text is null or d.tenant = $2)
      ), begun as (
        update deliveries d
        set state = 'retrying', cycle = d.cycle + 1, schedule_step = 0, next_attempt_at = now(), batch_id = null,
            held_reason = null, held_at = null, dead_reason = null, settled_at = null
        from found
        where d.id = $1 and d.id = found.id and not found.deleted and d.state <> 'pending'
        returning d.cycle
      )
      select found.state, found.event_type, found.url, found.deleted, begun.cycle from found left join begun on true`,
    values: [id, tenant ?? null],
  });
  const row = rows[0];
  if (!row) return { kind: "not_found" };
  if (row.deleted) return { kind: "subscription_deleted" };
  if (row.cycle === null) return { kind: "delivery_pending" };
  await addJobs(queues.retry, [retryJobOf(id, row.cycle, jobName(row.event_type, row.url), 0)])
    .then(() => queues.retry.remove(retryJobId(id, row.cycle! - 1)))
    // Redis is away, or the old job is under way and ends by itself: the row is what counts.
    .catch(() => undefined);
  return { kind: "retrying", cycle: row.cycle };
}
