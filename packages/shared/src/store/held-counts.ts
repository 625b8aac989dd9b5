import { MIN_ID } from "../core/ids/id-range.ts";

/** The id in `held_counts` whose rows count the held deliveries of all subscriptions. */
export const ALL_SUBSCRIPTIONS = MIN_ID;

/**
 * A condition for the `held_changes c` that are not folded yet. In a database that was restored from a dump, the
 * transactions may begin anew, and the noted one says nothing.
 */
export const NOT_FOLDED = `c.xid >= (
        select case when f.xid <= pg_snapshot_xmax(pg_current_snapshot()) then f.xid else '0'::xid8 end
        from held_folded f
      )`;

/**
 * A query for the kept counts (`subscription_id, reason, deliveries`): several rows per subscription and reason, whose
 * sums are the counts of this moment.
 *
 * @param ofSubscriptions condition on the subscription's id, from the operator on
 */
export const keptCounts = (ofSubscriptions: string): string => `
      select subscription_id, reason, deliveries from held_counts where subscription_id ${ofSubscriptions}
      union all
      select c.subscription_id, c.reason, c.change from held_changes c
      where ${NOT_FOLDED} and c.subscription_id ${ofSubscriptions}`;
