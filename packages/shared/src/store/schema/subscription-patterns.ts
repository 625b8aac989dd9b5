import { pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";

/** Which subscription wants which event-type pattern: `event_types` of the live subscriptions, one row per pattern, so that matching is an index look-up. */
export const subscriptionPatterns = pgTable(
  "subscription_patterns",
  {
    tenant: text("tenant").notNull(),
    pattern: text("pattern").notNull(),
    subscriptionId: uuid("subscription_id").notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.pattern, table.subscriptionId] })],
);
