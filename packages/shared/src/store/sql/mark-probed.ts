import type { Queryable } from "../pool.ts";

const TEXT = "update deliveries set probed_at = now() where id = $1 and state = 'held' and held_reason is not null";

/**
 * Marks a held delivery as probed. It is marked before the request, so that a delivery that kills its worker is not chosen
 * again immediately.
 *
 * @returns false if it is no longer held
 */
export async function markProbed(db: Queryable, deliveryId: string): Promise<boolean> {
  const { rowCount } = await db.query({ name: "mark-probed", text: TEXT, values: [deliveryId] });
  return rowCount === 1;
}
