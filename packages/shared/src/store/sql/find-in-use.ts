import type { Queryable } from "../pool.ts";

const TEXT = "select id from subscriptions where id = any ($1::uuid[]) and deleted_at is null and status <> 'disabled'";

/** @returns those of the subscriptions that exist and are neither deleted nor disabled */
export async function findInUse(db: Queryable, subscriptionIds: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>({ name: "find-in-use", text: TEXT, values: [subscriptionIds] });
  return rows.map(({ id }) => id);
}
