import { pgTable, text, timestamp, uuid } from "drizzle-orm/pg-core";
import { bytea } from "./idempotency-keys.ts";

/** API keys, in addition to the operator keys in the setting API_KEYS. Only the hash of a key is stored. */
export const apiKeys = pgTable("api_keys", {
  id: uuid("id").primaryKey(),
  name: text("name").notNull(),
  /** SHA-256 of the key. Keys are long and random, so a slow hash would not add security. */
  hash: bytea("hash").notNull().unique(),
  scopes: text("scopes").array().notNull(),
  /** Null is an operator key, which sees every tenant. */
  tenant: text("tenant"),
  expiresAt: timestamp("expires_at", { withTimezone: true }),
  createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
});
