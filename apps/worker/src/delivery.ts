import type { SharedBreaker } from "@postrider/shared/breaker/breakers.ts";
import type { RetrySchedule } from "@postrider/shared/core/delivery/retry-schedule.ts";
import type { DeadReason, SubscriptionStatus, Trigger } from "@postrider/shared/core/delivery/states.ts";
import type { DeliveryRow } from "@postrider/shared/store/sql/delivery-row.ts";
import type { ScheduledDeliveryRow } from "@postrider/shared/store/sql/load-deliveries-by-ids.ts";
import type { Exchange } from "./http/send.ts";

/** A delivery as a lane works on it. */
export type Delivery = DeliveryRow;

/** A delivery that may wait for its next attempt. */
export type ScheduledDelivery = ScheduledDeliveryRow;

/** A subscription as delivering needs it: defaults filled in, secrets opened. */
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
  /** Milliseconds of `performance.now()`. Coarse: see the column. Null where it never succeeded. */
  lastSuccessAt: number | null;
  /** An attempt has failed after `lastSuccessAt`. */
  hasFailedSince: boolean;
  /** An outcome says something about the row only while this is the row's revision. */
  revision: string;
}

/** A row that cannot be used, for example because a secret was altered. Only its own deliveries fail. */
export interface BrokenSubscription {
  problem: string;
  /** The setting of this process is wrong, and not the row. */
  isOurs?: boolean;
}

/** A delivery's subscription and breaker, as they were read for it. */
export interface Subscriber {
  /** Undefined where the row is missing. */
  subscription: Subscription | BrokenSubscription | undefined;
  /** Undefined where nothing is known: the subscription is not watched, or Redis cannot be reached. */
  breaker: SharedBreaker | undefined;
}

/** One delivery to attempt. */
export interface Work {
  delivery: Delivery;
  subscriber: Subscriber;
  /** Follows from the delivery's row where it is left out; a probe sets it. */
  trigger?: Trigger;
}

/** One HTTP request that was made for a delivery. */
export interface Attempt {
  /** Made before sending, so that recording the attempt twice is harmless. */
  id: string;
  trigger: Trigger;
  startedAt: Date;
  /** When it started, in milliseconds of `performance.now()`. */
  startedAtMs: number;
  exchange: Exchange;
}

/** What a lane does next with a delivery. */
export type Result =
  /** Nothing: it is delivered, held or cancelled, or had moved on before. */
  | { kind: "done" }
  | { kind: "retrying"; delayMs: number; error: string }
  | { kind: "dead"; reason: DeadReason; error: string }
  /** Nothing was sent, so the delivery is as it was loaded: its job gives it back. */
  | { kind: "given_back" };
