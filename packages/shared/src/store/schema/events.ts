import { index, integer, pgTable, text, uuid } from "drizzle-orm/pg-core";

/** Accepted events. Partitioned by day on `id` (see partitions.ts); immutable, so there are only inserts. */
export const events = pgTable(
  "events",
  {
    id: uuid("id").primaryKey(),
    tenant: text("tenant").notNull(),
    type: text("type").notNull(),
    /** The exact body that every attempt sends: `{"type","timestamp","data"}`, serialised once at accept. */
    body: text("body").notNull(),
    deliveryCount: integer("delivery_count").notNull(),
  },
  (table) => [index("events_tenant_idx").on(table.tenant, table.id)],
);
