import { familyRange } from "../../core/ids/id-range.ts";
import type { Queryable } from "../pool.ts";
import { DELIVERY_COLUMNS, joinEvent, type DeliveryRow } from "./delivery-row.ts";

export interface ScheduledDeliveryRow extends DeliveryRow {
  /** Milliseconds until the next attempt by Postgres's clock, negative if past due; null if none is scheduled. */
  dueInMs: number | null;
}

const TEXT = `
  select ${DELIVERY_COLUMNS}, e.body, (extract(epoch from d.next_attempt_at - now()) * 1000)::float8 as "dueInMs"
  from deliveries d ${joinEvent()}
  where d.id = any ($1::uuid[]) and d.id between $2 and $3`;

/** Loads deliveries in any state by id (at least one), with their bodies and without unknown ids. */
export async function loadDeliveriesByIds(db: Queryable, ids: readonly string[]): Promise<ScheduledDeliveryRow[]> {
  const { from, to } = familyRange(ids);
  const { rows } = await db.query<ScheduledDeliveryRow>({ name: "load-by-ids", text: TEXT, values: [ids, from, to] });
  return rows;
}
