/** The id in `held_counts` whose rows count the held deliveries of all subscriptions. */
export const ALL_SUBSCRIPTIONS = "00000000-0000-0000-0000-000000000000";

/**
 * A condition for the `held_changes c` that are not folded yet. In a database that was restored from a dump, the
 * transactions may begin anew, and the noted one says nothing.
 */
export const NOT_FOLDED = `c.xid >= (
        select case when f.xid <= pg_snapshot_xmax(pg_current_snapshot()) then f.xid else '0'::xid8 end
        from held_folded f
      )`;
