import type { DeliveryState } from "../../core/delivery/states.ts";
import type { Queryable } from "../pool.ts";
import { moveTo } from "../transitions.ts";

export interface RetriedRow {
  /** The state before the retry. */
  state: DeliveryState;
  tenant: string;
  eventType: string;
  url: string;
  isDeleted: boolean;
  /** The new cycle; null if nothing was changed because the delivery is pending or its subscription is deleted. */
  cycle: number | null;
}

const TEXT = `
  with found as (
    select d.id, d.state, d.tenant, d.event_type, s.url, s.deleted_at is not null as deleted
    from deliveries d join subscriptions s on s.id = d.subscription_id
    where d.id = $1 and ($2::text is null or d.tenant = $2)
  ), retried as (
    update deliveries d
    set ${moveTo("retrying", { next_attempt_at: "now()" })}, cycle = d.cycle + 1, schedule_step = 0
    from found
    where d.id = $1 and d.id = found.id and not found.deleted and d.state <> 'pending'
    returning d.cycle
  )
  select found.state, found.tenant, found.event_type as "eventType", found.url, found.deleted as "isDeleted", retried.cycle
  from found left join retried on true`;

/**
 * Starts a new cycle of a delivery, with the full schedule, due now.
 *
 * @param tenant if given, deliveries of other tenants are not found
 * @returns undefined if the delivery does not exist
 */
export async function retryDeliveryRow(db: Queryable, id: string, tenant?: string): Promise<RetriedRow | undefined> {
  const { rows } = await db.query<RetriedRow>({ name: "retry-delivery", text: TEXT, values: [id, tenant ?? null] });
  return rows[0];
}
