/** The states of a delivery. The CHECK constraints on `deliveries` repeat them. */
export const DELIVERY_STATES = ["pending", "retrying", "held", "delivered", "dead", "cancelled"] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

export const HELD_REASONS = [
  "breaker",
  "paused",
  "disabled",
  "rate_limit",
  "max_in_flight",
  "pace",
  "trial",
  "share",
  "tenant_share",
] as const;
export type HeldReason = (typeof HELD_REASONS)[number];

export const DEAD_REASONS = ["exhausted", "gone", "blocked", "expired", "internal"] as const;
export type DeadReason = (typeof DEAD_REASONS)[number];

/** What caused an attempt: the schedule, a manual retry, or a probe by the breaker. */
export const TRIGGERS = ["auto", "manual", "probe"] as const;
export type Trigger = (typeof TRIGGERS)[number];

export const SUBSCRIPTION_STATUSES = ["active", "paused", "disabled"] as const;
export type SubscriptionStatus = (typeof SUBSCRIPTION_STATUSES)[number];
