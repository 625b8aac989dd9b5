import { GroupCommit } from "@postrider/shared/concurrency/group-commit.ts";
import { isUnavailable } from "@postrider/shared/store/errors.ts";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { SLICE_BYTES } from "@postrider/shared/store/sql/delivery-row.ts";
import { loadBodyRows } from "@postrider/shared/store/sql/load-bodies.ts";
import type { Delivery } from "../delivery.ts";

/** Deliveries of one tenant whose bodies are loaded together. */
export interface Slice {
  tenant: string;
  /** Bytes of their bodies. Deliveries of one event share its body. */
  bytes: number;
  deliveries: Delivery[];
}

/** Splits deliveries into slices of at most `maxBytes`. A larger body has a slice of its own. */
export function sliceByBytes(deliveries: readonly Delivery[], maxBytes = SLICE_BYTES): Slice[] {
  const slices: Slice[] = [];
  const latest = new Map<string, Slice & { events: Set<string> }>();
  for (const delivery of deliveries) {
    const { tenant, eventId, bodyBytes } = delivery;
    let slice = latest.get(tenant);
    const bytes = slice?.events.has(eventId) ? 0 : bodyBytes;
    if (!slice || slice.bytes + bytes > maxBytes) {
      slice = { tenant, bytes: 0, deliveries: [], events: new Set() };
      slices.push(slice);
      latest.set(tenant, slice);
    }
    slice.deliveries.push(delivery);
    slice.bytes += bytes;
    slice.events.add(eventId);
  }
  return slices;
}

/** Loads the bodies of a slice. A body stays null if its event no longer exists. */
export async function loadBodies(pool: Pool, { deliveries }: Pick<Slice, "deliveries">): Promise<Delivery[]> {
  const rows = await loadBodyRows(pool, [...new Set(deliveries.map(({ eventId }) => eventId))]);
  const bodies = new Map(rows.map(({ id, body }) => [id, body]));
  return deliveries.map((delivery) => ({ ...delivery, body: bodies.get(delivery.eventId) ?? null }));
}

/** As many small bodies as a batch has deliveries. */
const MAX_BODIES = 100;

export type LoadBody = (delivery: Delivery) => Promise<string | null>;

/**
 * Creates a loader of single bodies. Concurrent calls share statements.
 *
 * @returns loads the body of a delivery; null if its event no longer exists
 */
export function createBodyLoader(pool: Pool): LoadBody {
  const loads = new GroupCommit<Delivery, string | null>({
    flush: async (deliveries) => (await loadBodies(pool, { deliveries: [...deliveries] })).map(({ body }) => body),
    failsAll: isUnavailable,
    weigh: ({ bodyBytes }) => ({ rows: 1, bytes: bodyBytes }),
    maxFlush: { rows: MAX_BODIES, bytes: SLICE_BYTES },
    maxWaiting: { rows: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY },
  });
  return (delivery) => loads.add(delivery);
}
