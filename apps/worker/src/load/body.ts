import type { Pool } from "@postrider/shared/store/pool.ts";
import { SLICE_BYTES } from "@postrider/shared/store/sql/delivery-row.ts";
import { loadBodyRows } from "@postrider/shared/store/sql/load-bodies.ts";
import type { Delivery } from "../delivery.ts";

/** Splits deliveries into slices of at most `maxBytes` of bodies. A larger body has a slice of its own. */
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

/** Loads the bodies of a slice. A body stays null if its event no longer exists. */
export async function loadBodies(pool: Pool, slice: readonly Delivery[]): Promise<Delivery[]> {
  const rows = await loadBodyRows(pool, slice.map(({ eventId }) => eventId)); // prettier-ignore
  const bodies = new Map(rows.map(({ id, body }) => [id, body]));
  return slice.map((delivery) => ({ ...delivery, body: bodies.get(delivery.eventId) ?? null }));
}
