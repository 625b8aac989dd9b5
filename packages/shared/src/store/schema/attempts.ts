import { sql } from "drizzle-orm";
import { boolean, check, index, integer, pgTable, text, timestamp, uuid } from "drizzle-orm/pg-core";
import { TRIGGERS } from "../../core/delivery/states.ts";

/** One HTTP request for a delivery and its outcome. Partitioned by day on `id`; append-only. */
export const attempts = pgTable(
  "attempts",
  {
    id: uuid("id").primaryKey(),
    deliveryId: uuid("delivery_id").notNull(),
    number: integer("number").notNull(),
    trigger: text("trigger", { enum: TRIGGERS }).notNull(),
    startedAt: timestamp("started_at", { withTimezone: true }).notNull(),
    durationMs: integer("duration_ms").notNull(),
    responseStatus: integer("response_status"),
    responseBody: text("response_body"),
    error: text("error"),
    /** True if the delivery's state had changed before this attempt was recorded, so the attempt did not change it. */
    superseded: boolean("superseded").notNull().default(false),
  },
  (table) => [
    check("attempts_trigger_check", sql`${table.trigger} in ('auto', 'manual', 'probe')`),
    index("attempts_delivery_idx").on(table.deliveryId, table.id),
  ],
);
