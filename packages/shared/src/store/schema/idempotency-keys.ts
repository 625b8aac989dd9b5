import { sql } from "drizzle-orm";
import { check, customType, index, jsonb, pgTable, primaryKey, text, timestamp, uuid } from "drizzle-orm/pg-core";
import type { Sealed } from "./subscriptions.ts";

export const bytea = customType<{ data: Buffer }>({ dataType: () => "bytea" });

/**
 * The idempotency keys of the last 24 hours, each with its event, or with the answer of a call other than `POST /events`.
 * The next use of an expired key overwrites it.
 */
export const idempotencyKeys = pgTable(
  "idempotency_keys",
  {
    tenant: text("tenant").notNull(),
    key: text("key").notNull(),
    bodyHash: bytea("body_hash").notNull(),
    eventId: uuid("event_id"),
    /** The sealed JSON of an answer, because it may have a signing secret. */
    answer: jsonb("answer").$type<Sealed>(),
    expiresAt: timestamp("expires_at", { withTimezone: true }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.key] }),
    check("idempotency_keys_result_check", sql`(${table.eventId} is null) <> (${table.answer} is null)`),
    index("idempotency_keys_expiry_idx").on(table.expiresAt),
  ],
);
