/** The states of a delivery, as the CHECK constraints on `deliveries` repeat them. */
export const DELIVERY_STATES = ["pending", "retrying", "held", "delivered", "dead", "cancelled"] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

export const HELD_REASONS = ["breaker", "paused", "disabled", "rate_limit", "max_in_flight", "pace"] as const;
export type HeldReason = (typeof HELD_REASONS)[number];

export const DEAD_REASONS = ["exhausted", "gone", "blocked", "expired", "internal"] as const;
export type DeadReason = (typeof DEAD_REASONS)[number];

/** Why an attempt was made: the schedule, a person, or the breaker asking whether the subscriber is back. */
export const TRIGGERS = ["auto", "manual", "probe"] as const;
export type Trigger = (typeof TRIGGERS)[number];

export const SUBSCRIPTION_STATUSES = ["active", "paused", "disabled"] as const;
export type SubscriptionStatus = (typeof SUBSCRIPTION_STATUSES)[number];
