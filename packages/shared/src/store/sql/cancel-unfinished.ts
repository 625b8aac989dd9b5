import { isOneOf } from "../picked-rows.ts";
import type { Queryable } from "../pool.ts";
import { moveTo } from "../transitions.ts";

type Cancellable = "held" | "retrying";

// The state is spelled out and not a parameter, because the rows are found by an index of rows in that state.
const text = (state: Cancellable): string => `
  with unfinished as materialized (
    select id from deliveries where state = '${state}' and subscription_id = $1 limit $2 for update skip locked
  )
  update deliveries d set ${moveTo("cancelled", {})}
  where ${isOneOf("unfinished")}`;

const TEXTS: Readonly<Record<Cancellable, string>> = { held: text("held"), retrying: text("retrying") };

/**
 * Cancels deliveries of a subscription that are in the given state, at most `limit`.
 *
 * @returns how many
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
