import type { DeliveryState } from "../../core/delivery/states.ts";
import { familyRange } from "../../core/ids/id-range.ts";
import type { Queryable } from "../pool.ts";

const TEXT = `
  select id, state from deliveries
  where id = any ($1::uuid[]) and id between $2 and $3 and state in ('pending', 'retrying', 'held', 'dead')`;

/** @param ids at least one @returns the given deliveries that are neither delivered nor cancelled */
export async function pollReleasedRows(
  db: Queryable,
  ids: readonly string[],
): Promise<{ id: string; state: DeliveryState }[]> {
  const { from, to } = familyRange(ids);
  const { rows } = await db.query<{ id: string; state: DeliveryState }>({
    name: "poll-released",
    text: TEXT,
    values: [ids, from, to],
  });
  return rows;
}
