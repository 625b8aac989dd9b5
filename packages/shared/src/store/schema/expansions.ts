import { index, integer, pgTable, text, timestamp, uuid } from "drizzle-orm/pg-core";

/**
 * Accepted events whose deliveries are not all written yet, with a cursor over the subscriptions. The row is inserted
 * with its event and deleted with the last page of deliveries.
 */
export const expansions = pgTable(
  "expansions",
  {
    eventId: uuid("event_id").primaryKey(),
    tenant: text("tenant").notNull(),
    eventType: text("event_type").notNull(),
    /** Every pattern that matches the type, separated by commas. */
    patterns: text("patterns").notNull(),
    /** The deliveries of subscriptions up to this one are written. */
    lastSubscription: uuid("last_subscription").notNull(),
    /** By Postgres's clock. Later subscriptions are left out. */
    acceptedAt: timestamp("accepted_at", { withTimezone: true }).notNull().defaultNow(),
    /** Deliveries so far. */
    written: integer("written").notNull(),
    /** An estimate of the deliveries in the end. */
    matches: integer("matches").notNull(),
    /** Number of the first batch that its deliveries may join (core/ids/batch-id.ts). */
    firstBatch: integer("first_batch").notNull(),
  },
  (table) => [index("expansions_tenant_idx").on(table.tenant, table.eventId)],
);
