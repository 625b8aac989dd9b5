import type { Queryable } from "../pool.ts";

/** More than a release may have on its way. */
const MAX = 1_000;

const TEXT = `
  select id from deliveries where state = 'pending' and held_at is not null and subscription_id = $1 limit ${MAX}`;

/** @returns the ids of a subscription's released deliveries that have not been attempted yet */
export async function findReleased(db: Queryable, subscriptionId: string): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>({ name: "find-released", text: TEXT, values: [subscriptionId] });
  return rows.map(({ id }) => id);
}
