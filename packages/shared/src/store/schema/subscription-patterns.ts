import { pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";

/**
 * `event_types` of the subscriptions that are not deleted, one row per pattern, so that matching is an index look-up.
 */
export const subscriptionPatterns = pgTable(
  "subscription_patterns",
  {
    tenant: text("tenant").notNull(),
    pattern: text("pattern").notNull(),
    subscriptionId: uuid("subscription_id").notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.pattern, table.subscriptionId] })],
);
