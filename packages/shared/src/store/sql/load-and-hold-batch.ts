import type { HeldReason } from "../../core/delivery/states.ts";
import type { IdRange } from "../../core/ids/id-range.ts";
import type { Queryable } from "../pool.ts";
import { moveTo } from "../transitions.ts";
import { DELIVERY_COLUMNS, FIRST_SLICE_BODY, joinEvent, type DeliveryRow } from "./delivery-row.ts";

export interface LoadedOrHeldRow extends DeliveryRow {
  /** Why this statement held the delivery; null if it did not. The other columns have the values from before. */
  heldReason: HeldReason | null;
}

const HELD_REASON = `(
      select case status when 'active' then ($6::text[])[array_position($5::uuid[], id)] else status end
      from subscriptions where id = d.subscription_id
    )`;

// A manual attempt (cycle above 0) may pass an open breaker, so the admission decides about it. It also decides about
// released deliveries (with a `held_at`): they are not held for a limit, and their breaker may have closed since the
// worker read it. array_position() prevents the use of the index on the subscription: the batch is scanned once, by its
// own index.
const TEXT = `
  with held as (
    update deliveries d
    set ${moveTo("held", { held_reason: HELD_REASON, held_at: "now()" })}
    where d.state = 'pending' and d.batch_id = $1 and d.id between $2 and $3 and d.cycle = 0
      and d.held_at is null
      and array_position($5::uuid[], d.subscription_id) is not null
      and (select deleted_at is null from subscriptions where id = d.subscription_id)
    returning d.id, d.held_reason
  )
  select ${DELIVERY_COLUMNS}, h.held_reason as "heldReason", ${FIRST_SLICE_BODY}
  from deliveries d left join held h on h.id = d.id ${joinEvent("h.id is null")}
  where d.state = 'pending' and d.batch_id = $1 and d.id between $2 and $3
  order by d.id`;

/**
 * Loads the deliveries of a batch that are still pending, and holds those of the given subscriptions. It is one
 * statement, because holding is most of the work for a dead subscriber.
 *
 * @param bodiless as in loadBatchesRows()
 * @param toHold subscriptions whose deliveries are held, each with the reason
 */
export async function loadAndHoldBatchRows(
  db: Queryable,
  { id, from, to }: { id: string } & IdRange,
  bodiless: readonly string[],
  toHold: ReadonlyMap<string, HeldReason>,
): Promise<LoadedOrHeldRow[]> {
  const { rows } = await db.query<LoadedOrHeldRow>({
    name: "hold-back-and-load-batch",
    text: TEXT,
    values: [id, from, to, bodiless, [...toHold.keys()], [...toHold.values()]],
  });
  return rows;
}
