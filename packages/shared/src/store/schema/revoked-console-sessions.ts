import { pgTable, text, timestamp } from "drizzle-orm/pg-core";

/**
 * The sessions of the console that ended by a logout. A session's cookie is signed, and valid until its expiry unless it
 * is in here.
 */
export const revokedConsoleSessions = pgTable("revoked_console_sessions", {
  id: text("id").primaryKey(),
  expiresAt: timestamp("expires_at", { withTimezone: true }).notNull(),
});
