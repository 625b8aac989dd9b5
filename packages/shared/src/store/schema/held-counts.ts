import { sql } from "drizzle-orm";
import {
  boolean,
  check,
  customType,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uuid,
} from "drizzle-orm/pg-core";

const xid8 = customType<{ data: string }>({ dataType: () => "xid8" });

/**
 * How many deliveries are held, by subscription and reason, and with the nil UUID of all subscriptions: a count would
 * cost more the more is held. Changes that are not folded in yet are in `held_changes`, so a reader adds both.
 */
export const heldCounts = pgTable(
  "held_counts",
  {
    subscriptionId: uuid("subscription_id").notNull(),
    reason: text("reason").notNull(),
    deliveries: integer("deliveries").notNull(),
  },
  (table) => [primaryKey({ columns: [table.subscriptionId, table.reason] })],
);

/**
 * One row for each delivery that became held (1) or ceased to be (-1), written by a trigger of `deliveries`. A
 * correction has a larger number. Appending waits for nobody, where workers that hold deliveries of one subscription
 * would wait for its row in `held_counts`.
 */
export const heldChanges = pgTable(
  "held_changes",
  {
    /** The transaction. */
    xid: xid8("xid").notNull(),
    subscriptionId: uuid("subscription_id").notNull(),
    reason: text("reason").notNull(),
    change: integer("change").notNull(),
  },
  (table) => [index("held_changes_xid_idx").on(table.xid)],
);

/**
 * One row: changes of transactions before `xid` have all been folded. Without it a reader would walk the folded ones
 * again for as long as a dump, or another old snapshot, keeps vacuum from removing them.
 */
export const heldFolded = pgTable(
  "held_folded",
  {
    isOnly: boolean("is_only").primaryKey().default(true),
    xid: xid8("xid").notNull(),
    /** When the counts were last compared with the deliveries. */
    reconciledAt: timestamp("reconciled_at", { withTimezone: true })
      .notNull()
      .default(sql`'-infinity'`),
  },
  (table) => [check("held_folded_only_check", sql`${table.isOnly}`)],
);
