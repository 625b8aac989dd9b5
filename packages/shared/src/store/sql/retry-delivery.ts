import type { Queryable } from "../pool.ts";
import { moveTo } from "../transitions.ts";
import type { RetryableRow } from "./find-retryable.ts";

const TEXT = `
  update deliveries d
  set ${moveTo("retrying", { next_attempt_at: "now()" })}, cycle = d.cycle + 1, schedule_step = 0
  where d.id = $1 and d.state = $2 and d.cycle = $3`;

/**
 * Starts a new cycle of a delivery, with the full schedule, due now.
 *
 * @param found the delivery as it was read. Of several concurrent retries one succeeds
 * @returns false if its state or cycle has changed since
 */
export async function retryDeliveryRow(
  db: Queryable,
  { id, state, cycle }: Pick<RetryableRow, "id" | "state" | "cycle">,
): Promise<boolean> {
  const { rowCount } = await db.query({ name: "retry-delivery", text: TEXT, values: [id, state, cycle] });
  return rowCount === 1;
}
