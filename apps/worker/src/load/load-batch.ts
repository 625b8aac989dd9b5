import { familyRange, type IdRange } from "@postrider/shared/core/ids/id-range.ts";
import type { DeadReason, DeliveryState, HeldReason } from "@postrider/shared/core/delivery/states.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";

/** A delivery as a lane works on it. */
export interface Delivery {
  id: string;
  eventId: string;
  subscriptionId: string;
  tenant: string;
  eventType: string;
  state: DeliveryState;
  cycle: number;
  attemptCount: number;
  scheduleStep: number;
  deadReason: DeadReason | null;
  lastError: string | null;
  /** Null where it is not loaded yet (see loadBodies); an attempt loads what it lacks. */
  body: string | null;
  bodyBytes: number;
  /** False where the event is gone: the row is broken, and nothing can be sent. */
  hasEvent: boolean;
}

/** One that may be in a schedule. */
export interface ScheduledDelivery extends Delivery {
  /** Milliseconds until its next attempt by Postgres's clock, negative where it is past due; null where it is in no schedule. */
  dueInMs: number | null;
}

/** Bodies up to this much come along with their rows; larger batches load the rest in slices of this size. */
export const SLICE_BYTES = 2 * 1024 * 1024;

const COLUMNS = `d.id, d.event_id as "eventId", d.subscription_id as "subscriptionId", d.tenant, d.event_type as "eventType",
  d.state, d.cycle, d.attempt_count as "attemptCount", d.schedule_step as "scheduleStep",
  d.dead_reason as "deadReason", d.last_error as "lastError", coalesce(octet_length(e.body), 0) as "bodyBytes", e.id is not null as "hasEvent"`;

/** The limit keeps it a look-up per delivery: a batch of old and new deliveries would otherwise read all events in between. */
const itsEvent = (condition: string) =>
  `left join lateral (select id, body from events where id = d.event_id and id between $2 and $3 and ${condition} limit 1) e on true`;

/** What is done with some of a batch while it is loaded. */
interface Exceptions {
  /** Subscriptions whose deliveries will hardly be sent now: they come without their bodies. */
  bodiless?: readonly string[];
  /** Subscriptions that cannot take anything now: what is pending for them becomes `held`, for their reason. */
  refused?: ReadonlyMap<string, HeldReason>;
}

/** What was pending of a batch. */
export interface Batch {
  deliveries: Delivery[];
  /** What became `held`, and why. */
  heldBack: { subscriptionId: string; reason: HeldReason }[];
}

/** A manual attempt (cycle above 0) may pass an open breaker, so those are left to who knows. The batch is walked once, by its own index: array_position keeps the one by subscription out. */
const HOLD_BACK = `
      with held as (
        update deliveries d set state = 'held', batch_id = null, held_at = coalesce(d.held_at, now()),
          held_reason = (
            select case status when 'active' then ($6::text[])[array_position($5::uuid[], id)] else status end
            from subscriptions where id = d.subscription_id
          )
        where d.state = 'pending' and d.batch_id = $1 and d.id between $2 and $3 and d.cycle = 0
          and array_position($5::uuid[], d.subscription_id) is not null
          and (select deleted_at is null from subscriptions where id = d.subscription_id)
        returning d.id, d.held_reason
      )`;

/**
 * Loads the rows of a batch that are still pending under its id; a batch that runs again finds only what is unfinished. What
 * is refused is held in the same statement: with a dead subscriber that is most of what there is to do for it, so it
 * is made cheap.
 */
export async function loadBatch(
  pool: Pool,
  batchId: string,
  range: IdRange,
  { bodiless = [], refused = new Map() }: Exceptions = {},
): Promise<Batch> {
  const holds = refused.size > 0;
  // The rows are seen as they were before the statement: those that it holds are among them.
  const { rows } = await pool.query<Delivery & { heldBack: HeldReason | null }>({
    name: holds ? "hold-back-and-load-batch" : "load-batch",
    text: `${holds ? HOLD_BACK : ""}
      select ${COLUMNS}, ${holds ? "h.held_reason" : "null"} as "heldBack", case
          when d.subscription_id = any ($4::uuid[]) then null
          when sum(octet_length(e.body)) over (order by d.id) <= ${SLICE_BYTES} then e.body
        end as body
      from deliveries d ${holds ? "left join held h on h.id = d.id" : ""} ${itsEvent(holds ? "h.id is null" : "true")}
      where d.state = 'pending' and d.batch_id = $1 and d.id between $2 and $3
      order by d.id`,
    values: [batchId, range.from, range.to, bodiless, ...(holds ? [[...refused.keys()], [...refused.values()]] : [])],
  });
  return {
    deliveries: rows.filter(({ heldBack }) => heldBack === null),
    heldBack: rows.flatMap(({ subscriptionId, heldBack: reason }) =>
      reason === null ? [] : [{ subscriptionId, reason }],
    ),
  };
}

/** Deliveries by id, whatever their state, each with its body. Ids that are not there are left out. */
export async function loadByIds(pool: Pool, ids: readonly string[]): Promise<ScheduledDelivery[]> {
  const { from, to } = familyRange(ids);
  const { rows } = await pool.query<ScheduledDelivery>({
    name: "load-by-ids",
    text: `
      select ${COLUMNS}, e.body, (extract(epoch from d.next_attempt_at - now()) * 1000)::float8 as "dueInMs"
      from deliveries d ${itsEvent("true")}
      where d.id = any ($1::uuid[]) and d.id between $2 and $3`,
    values: [ids, from, to],
  });
  return rows;
}

/** The delivered bodies of these events. */
export async function loadBodies(pool: Pool, eventIds: readonly string[]): Promise<Map<string, string>> {
  const { from, to } = familyRange(eventIds);
  const { rows } = await pool.query<{ id: string; body: string }>({
    name: "load-bodies",
    text: "select id, body from events where id = any ($1::uuid[]) and id between $2 and $3",
    values: [eventIds, from, to],
  });
  return new Map(rows.map(({ id, body }) => [id, body]));
}
