import type { Pool } from "@postrider/shared/store/pool.ts";
import { SLICE_BYTES } from "@postrider/shared/store/sql/delivery-row.ts";
import { loadBodyRows } from "@postrider/shared/store/sql/load-bodies.ts";
import type { Delivery } from "../delivery.ts";

/** Splits deliveries into slices whose bodies have at most `maxBytes` together, or that have one delivery. */
export function sliceByBytes(deliveries: readonly Delivery[], maxBytes = SLICE_BYTES): Delivery[][] {
  const slices: Delivery[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const delivery of deliveries) {
    if (bytes + delivery.bodyBytes > maxBytes) {
      slices.push([]);
      bytes = 0;
    }
    slices.at(-1)!.push(delivery);
    bytes += delivery.bodyBytes;
  }
  return slices;
}

/** Loads the bodies of a slice. A body stays null where its event does not exist any more. */
export async function loadBodies(pool: Pool, slice: readonly Delivery[]): Promise<Delivery[]> {
  const rows = await loadBodyRows(pool, slice.map(({ eventId }) => eventId)); // prettier-ignore
  const bodies = new Map(rows.map(({ id, body }) => [id, body]));
  return slice.map((delivery) => ({ ...delivery, body: bodies.get(delivery.eventId) ?? null }));
}
