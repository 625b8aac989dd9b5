import type { Queryable } from "../pool.ts";

const TEXT = `
  select asked.id from unnest($1::uuid[]) as asked (id)
  where exists (select from deliveries d where d.subscription_id = asked.id and d.state = 'held')`;

/** @returns the given subscriptions that still have held deliveries */
export async function findStillHeld(db: Queryable, subscriptionIds: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(TEXT, [subscriptionIds]);
  return rows.map(({ id }) => id);
}
