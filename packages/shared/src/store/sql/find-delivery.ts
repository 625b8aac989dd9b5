import type { DeliveryState } from "../../core/delivery/states.ts";
import type { Queryable } from "../pool.ts";

export interface DeliveryStateRow {
  state: DeliveryState;
  cycle: number;
}

/** @returns undefined if the delivery does not exist */
export async function findDelivery(db: Queryable, id: string): Promise<DeliveryStateRow | undefined> {
  const { rows } = await db.query<DeliveryStateRow>({
    name: "console-find-delivery",
    text: "select state, cycle from deliveries where id = $1",
    values: [id],
  });
  return rows[0];
}
