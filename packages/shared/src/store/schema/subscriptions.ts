import { sql } from "drizzle-orm";
import { check, index, integer, jsonb, pgTable, text, timestamp, uuid } from "drizzle-orm/pg-core";
import { SUBSCRIPTION_STATUSES } from "../../core/delivery/states.ts";

/** What is secret at rest, as tables store it: AES-256-GCM, base64 of nonce + ciphertext + tag. */
export interface Sealed {
  keyId: string;
  sealed: string;
}

/** Header values by name: sealed, or plain as older code writes them. */
export type StoredHeaders = Record<string, Sealed | string>;

export interface StoredSecret extends Sealed {
  /** ISO 8601; null for the current secret. */
  expiresAt: string | null;
}

/** Some header value is not sealed. */
export const HAS_PLAIN_HEADERS = `jsonb_path_exists(headers, '$.* ? (@.type() == "string")')`;

/** A subscriber's URL, the event types it wants, its signing secrets and its delivery policy. Deletion is soft. */
export const subscriptions = pgTable(
  "subscriptions",
  {
    id: uuid("id").primaryKey(),
    tenant: text("tenant").notNull(),
    url: text("url").notNull(),
    eventTypes: text("event_types").array().notNull(),
    description: text("description"),
    /** Newest first. `GET …/secret` shows the first. */
    secrets: jsonb("secrets").$type<StoredSecret[]>().notNull(),
    headers: jsonb("headers").$type<StoredHeaders>().notNull(),
    /** Requests per second over the fleet; null is no limit. */
    rateLimit: integer("rate_limit"),
    /** Requests under way at once, per worker process. */
    maxInFlight: integer("max_in_flight").notNull(),
    /** Null: the setting DELIVERY_TIMEOUT, which also limits it. */
    timeoutMs: integer("timeout_ms"),
    /** Delays as the API received them (`2s`); null: the setting RETRY_SCHEDULE. */
    retrySchedule: text("retry_schedule").array(),
    metadata: jsonb("metadata").$type<Record<string, unknown>>().notNull(),
    status: text("status", { enum: SUBSCRIPTION_STATUSES }).notNull().default("active"),
    disabledReason: text("disabled_reason"),
    /** When the breaker opened first without a success or a long silence since; null without an outage. */
    failingSince: timestamp("failing_since", { withTimezone: true }),
    /** Kept coarse: written again after ten minutes, and at once after a failure. Null: never succeeded. */
    lastSuccessAt: timestamp("last_success_at", { withTimezone: true }),
    /** Kept coarse too: after the first failure, each worker writes one in ten seconds. Null: never failed. */
    lastFailureAt: timestamp("last_failure_at", { withTimezone: true }),
    /** Why the attempt of `lastFailureAt` failed; at most 500 characters. */
    lastError: text("last_error"),
    createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true }).notNull().defaultNow(),
    deletedAt: timestamp("deleted_at", { withTimezone: true }),
  },
  (table) => [
    check("subscriptions_status_check", sql`${table.status} in ('active', 'paused', 'disabled')`),
    check("subscriptions_disabled_check", sql`(${table.status} = 'disabled') = (${table.disabledReason} is not null)`),
    index("subscriptions_tenant_idx").on(table.tenant, table.id),
    index("subscriptions_live_idx")
      .on(table.tenant)
      .where(sql`deleted_at is null`),
    index("subscriptions_plain_headers_idx").on(table.id).where(sql.raw(HAS_PLAIN_HEADERS)),
  ],
);
