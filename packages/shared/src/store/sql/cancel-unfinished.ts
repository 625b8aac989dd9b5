import { isOneOf } from "../picked-rows.ts";
import type { Queryable } from "../pool.ts";
import { moveTo } from "../transitions.ts";

type Cancellable = "held" | "retrying";

// The state is a literal and not a parameter, because the partial index of that state finds the rows.
const text = (state: Cancellable): string => `
  with unfinished as materialized (
    select id from deliveries where state = '${state}' and subscription_id = $1 limit $2 for update skip locked
  )
  update deliveries d set ${moveTo("cancelled", {})}
  where ${isOneOf("unfinished")}`;

const TEXTS: Readonly<Record<Cancellable, string>> = { held: text("held"), retrying: text("retrying") };

/**
 * Cancels up to `limit` deliveries of a subscription in the given state.
 *
 * @returns the number of cancelled deliveries
 */
export async function cancelUnfinishedRows(
  db: Queryable,
  subscriptionId: string,
  state: Cancellable,
  limit: number,
): Promise<number> {
  const { rowCount } = await db.query({ name: `cancel-${state}`, text: TEXTS[state], values: [subscriptionId, limit] });
  return rowCount ?? 0;
}
