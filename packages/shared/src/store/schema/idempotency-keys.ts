import { customType, index, pgTable, primaryKey, text, timestamp, uuid } from "drizzle-orm/pg-core";

export const bytea = customType<{ data: Buffer }>({ dataType: () => "bytea" });

/** The idempotency keys of the last 24 hours, each with its event. The next use of an expired key overwrites it. */
export const idempotencyKeys = pgTable(
  "idempotency_keys",
  {
    tenant: text("tenant").notNull(),
    key: text("key").notNull(),
    bodyHash: bytea("body_hash").notNull(),
    eventId: uuid("event_id").notNull(),
    expiresAt: timestamp("expires_at", { withTimezone: true }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.key] }),
    index("idempotency_keys_expiry_idx").on(table.expiresAt),
  ],
);
