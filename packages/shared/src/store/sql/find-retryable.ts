import type { DeliveryState, SubscriptionStatus } from "../../core/delivery/states.ts";
import type { Queryable } from "../pool.ts";

/** A delivery that a person wants to retry, and its subscription. */
export interface RetryableRow {
  id: string;
  state: DeliveryState;
  cycle: number;
  tenant: string;
  eventType: string;
  subscriptionId: string;
  url: string;
  status: SubscriptionStatus;
  isDeleted: boolean;
  /** Whether its next attempt is due, so that it is about to be made or under way. */
  isDue: boolean;
  /** Whether its subscription was probed with it so recently that the probe may be under way. */
  isProbed: boolean;
}

/** A probe is a lease for the request's timeout (a minute at most) and five seconds. */
const PROBE_SECONDS = 65;

// A retry that was committed while this statement began is due, and later than its now().
const TEXT = `
  select d.id, d.state, d.cycle, d.tenant, d.event_type as "eventType", s.id as "subscriptionId", s.url, s.status,
    s.deleted_at is not null as "isDeleted",
    d.state = 'retrying' and d.next_attempt_at <= clock_timestamp() as "isDue",
    d.state = 'held' and d.probed_at > now() - interval '${PROBE_SECONDS} seconds' is true as "isProbed"
  from deliveries d join subscriptions s on s.id = d.subscription_id
  where d.id = $1 and ($2::text is null or d.tenant = $2)`;

/**
 * @param tenant if given, deliveries of other tenants are not found
 * @returns undefined if the delivery does not exist
 */
export async function findRetryable(db: Queryable, id: string, tenant?: string): Promise<RetryableRow | undefined> {
  const { rows } = await db.query<RetryableRow>({ name: "find-retryable", text: TEXT, values: [id, tenant ?? null] });
  return rows[0];
}
