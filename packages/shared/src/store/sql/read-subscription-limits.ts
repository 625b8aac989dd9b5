import type { SubscriptionStatus } from "../../core/delivery/states.ts";
import type { Queryable } from "../pool.ts";

/** The status and the limits of a subscription. */
export interface SubscriptionLimits {
  state: SubscriptionStatus | "deleted";
  /** Requests per second over the fleet; null is no limit. */
  rateLimit: number | null;
  /** Requests under way at once, per worker process. */
  maxInFlight: number;
}

const TEXT = `
  select case when deleted_at is null then status else 'deleted' end as state, rate_limit as "rateLimit",
    max_in_flight as "maxInFlight"
  from subscriptions where id = $1`;

/** Reads the limits of a subscription. A missing row counts as deleted. */
export async function readSubscriptionLimits(db: Queryable, subscriptionId: string): Promise<SubscriptionLimits> {
  const { rows } = await db.query<SubscriptionLimits>({
    name: "read-subscription-limits",
    text: TEXT,
    values: [subscriptionId],
  });
  return rows[0] ?? { state: "deleted", rateLimit: null, maxInFlight: 1 };
}
