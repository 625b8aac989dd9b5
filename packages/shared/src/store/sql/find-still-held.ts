import { keptCounts } from "../held-counts.ts";
import type { Queryable } from "../pool.ts";

const TEXT = `
  select subscription_id as id from (${keptCounts("= any ($1::uuid[])")}) counts
  group by subscription_id having sum(deliveries) > 0`;

/** @returns the given subscriptions that still have held deliveries */
export async function findStillHeld(db: Queryable, subscriptionIds: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(TEXT, [subscriptionIds]);
  return rows.map(({ id }) => id);
}
