import { familyRange, type IdRange } from "@postrider/shared/core/id-range.ts";
import type { DeadReason, DeliveryState } from "@postrider/shared/core/states.ts";
import type { Pool } from "@postrider/shared/db/pool.ts";

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

/** Bodies up to this much come along with their rows; larger batches load the rest in slices of this size. */
export const SLICE_BYTES = 2 * 1024 * 1024;

const COLUMNS = `d.id, d.event_id as "eventId", d.subscription_id as "subscriptionId", d.tenant, d.event_type as "eventType",
  d.state, d.cycle, d.attempt_count as "attemptCount", d.schedule_step as "scheduleStep",
  d.dead_reason as "deadReason", d.last_error as "lastError", coalesce(octet_length(e.body), 0) as "bodyBytes", e.id is not null as "hasEvent"`;

/** The limit keeps it a look-up per delivery: a batch of old and new deliveries would otherwise read all events in between. */
const ITS_EVENT =
  "left join lateral (select id, body from events where id = d.event_id and id between $2 and $3 limit 1) e on true";

/**
 * The rows of a batch that are still pending under its id; a batch that runs again finds only what is unfinished.
 *
 * @param bodiless subscriptions whose deliveries will hardly be sent now: they come without their bodies
 */
export async function loadBatch(
  pool: Pool,
  batchId: string,
  range: IdRange,
  bodiless: readonly string[] = [],
): Promise<Delivery[]> {
  const { rows } = await pool.query<Delivery>({
    name: "load-batch",
    text: `
      select ${COLUMNS}, case
          when d.subscription_id = any ($4::uuid[]) then null
          when sum(octet_length(e.body)) over (order by d.id) <= ${SLICE_BYTES} then e.body
        end as body
      from deliveries d ${ITS_EVENT}
      where d.state = 'pending' and d.batch_id = $1 and d.id between $2 and $3
      order by d.id`,
    values: [batchId, range.from, range.to, bodiless],
  });
  return rows;
}

/** Deliveries by id, whatever their state, each with its body. Ids that are not there are left out. */
export async function loadByIds(pool: Pool, ids: readonly string[]): Promise<Delivery[]> {
  const { from, to } = familyRange(ids);
  const { rows } = await pool.query<Delivery>({
    name: "load-by-ids",
    text: `
      select ${COLUMNS}, e.body
      from deliveries d ${ITS_EVENT}
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
