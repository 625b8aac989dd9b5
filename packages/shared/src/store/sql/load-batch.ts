import type { IdRange } from "../../core/ids/id-range.ts";
import type { Queryable } from "../pool.ts";
import { DELIVERY_COLUMNS, FIRST_SLICE_BODY, joinEvent, type DeliveryRow } from "./delivery-row.ts";

const TEXT = `
  select ${DELIVERY_COLUMNS}, ${FIRST_SLICE_BODY}
  from deliveries d ${joinEvent()}
  where d.state = 'pending' and d.batch_id = $1 and d.id between $2 and $3
  order by d.id`;

/**
 * Loads the deliveries of a batch that are still pending, so a batch that runs again skips the finished ones.
 *
 * @param bodiless subscriptions whose deliveries are loaded without their bodies
 */
export async function loadBatchRows(
  db: Queryable,
  { id, from, to }: { id: string } & IdRange,
  bodiless: readonly string[] = [],
): Promise<DeliveryRow[]> {
  const { rows } = await db.query<DeliveryRow>({ name: "load-batch", text: TEXT, values: [id, from, to, bodiless] });
  return rows;
}
