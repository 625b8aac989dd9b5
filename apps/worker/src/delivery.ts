import type { Breaker } from "@postrider/shared/core/breaker.ts";
import type { RetrySchedule } from "@postrider/shared/core/delivery/retry-schedule.ts";
import type { DeadReason, SubscriptionStatus, Trigger } from "@postrider/shared/core/delivery/states.ts";
import type { DeliveryRow } from "@postrider/shared/store/sql/delivery-row.ts";
import type { ScheduledDeliveryRow } from "@postrider/shared/store/sql/load-deliveries-by-ids.ts";
import type { Exchange } from "./http/send.ts";

/** A delivery as a lane works on it. */
export type Delivery = DeliveryRow;

/** A delivery that may wait for its next attempt. */
export type ScheduledDelivery = ScheduledDeliveryRow;

/** A subscription with defaults filled in and secrets opened. */
export interface Subscription {
  id: string;
  tenant: string;
  url: URL;
  headers: Record<string, string>;
  /** Live signing keys, newest first. */
  keys: Buffer[];
  status: SubscriptionStatus;
  isDeleted: boolean;
  rateLimit: number | null;
  maxInFlight: number;
  timeoutMs: number;
  schedule: RetrySchedule;
  /** The breaker has opened, and no attempt has succeeded since. */
  isFailing: boolean;
}

/** A subscription whose row cannot be used, for example because a secret was altered. Only its deliveries fail. */
export interface BrokenSubscription {
  problem: string;
}

/** A delivery's subscription and breaker, read together with it. */
export interface Subscriber {
  /** Undefined where the row is missing. */
  subscription: Subscription | BrokenSubscription | undefined;
  /** Undefined while Redis is unreachable. */
  breaker: Breaker | undefined;
}

/** One delivery to attempt. */
export interface Work {
  delivery: Delivery;
  subscriber: Subscriber;
  /** A probe sets it; otherwise it follows from the delivery's row. */
  trigger?: Trigger;
}

/** One HTTP request that was made for a delivery. */
export interface Attempt {
  /** Made before sending, so that recording the attempt twice is harmless. */
  id: string;
  trigger: Trigger;
  /** The breaker's generation when it was sent; undefined where the breaker is unknown. */
  generation: number | undefined;
  startedAt: Date;
  /** When it started, in milliseconds of `performance.now()`. */
  startedAtMs: number;
  exchange: Exchange;
}

/** What a lane does next with a delivery. */
export type Result =
  /** Nothing: it is delivered, held or cancelled, or another worker changed its state. */
  | { kind: "done" }
  | { kind: "retrying"; delayMs: number; error: string }
  | { kind: "dead"; reason: DeadReason; error: string }
  /** Nothing was sent or recorded, so its job has to run again. */
  | { kind: "given_back" };
