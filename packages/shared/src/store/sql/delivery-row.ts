import type { DeadReason, DeliveryState } from "../../core/delivery/states.ts";

/** A delivery as a worker loads it. */
export interface DeliveryRow {
  id: string;
  eventId: string;
  subscriptionId: string;
  tenant: string;
  eventType: string;
  state: DeliveryState;
  /** The release job has put it back on the dispatch lane, and no attempt has been made since. */
  isReleased: boolean;
  cycle: number;
  attemptCount: number;
  scheduleStep: number;
  deadReason: DeadReason | null;
  lastError: string | null;
  /** Null if the statement omitted it. */
  body: string | null;
  bodyBytes: number;
  /** False if the event is missing, so that nothing can be sent. */
  hasEvent: boolean;
}

/** The first statement of a batch reads bodies up to this size; the rest is loaded in slices of this size. */
export const SLICE_BYTES = 2 * 1024 * 1024;

/** The columns of a DeliveryRow except `body`, of deliveries `d` and events `e`. */
export const DELIVERY_COLUMNS = `d.id, d.event_id as "eventId", d.subscription_id as "subscriptionId", d.tenant,
    d.event_type as "eventType", d.state, d.state = 'pending' and d.held_at is not null as "isReleased", d.cycle, d.attempt_count as "attemptCount", d.schedule_step as "scheduleStep",
    d.dead_reason as "deadReason", d.last_error as "lastError", coalesce(octet_length(e.body), 0) as "bodyBytes",
    e.id is not null as "hasEvent"`;

/**
 * The body of a batch's delivery; null for the subscriptions in $4, for released deliveries, and beyond the first
 * slice. A released delivery may wait for minutes, so its body is read when it has its slot.
 */
export const FIRST_SLICE_BODY = `case
      when d.subscription_id = any ($4::uuid[]) or d.held_at is not null then null
      when sum(octet_length(e.body)) filter (where d.held_at is null) over (order by d.id) <= ${SLICE_BYTES} then e.body
    end as body`;

/**
 * Joins each delivery's event, in the partitions between $2 and $3. The limit forces one look-up per delivery; without
 * it a batch of old and new deliveries would read all events in between.
 */
export const joinEvent = (condition = "true"): string =>
  `left join lateral (
      select id, body from events where id = d.event_id and id between $2 and $3 and ${condition} limit 1
    ) e on true`;
