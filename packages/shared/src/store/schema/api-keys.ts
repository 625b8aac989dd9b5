import { pgTable, text, timestamp, uuid } from "drizzle-orm/pg-core";
import { bytea } from "./idempotency-keys.ts";

/** Who may call the API, beside the operator keys of the setting API_KEYS. Only the hash of a key is kept. */
export const apiKeys = pgTable("api_keys", {
  id: uuid("id").primaryKey(),
  name: text("name").notNull(),
  /** SHA-256 of the key: keys are long and random, so a slow hash would add nothing. */
  hash: bytea("hash").notNull().unique(),
  scopes: text("scopes").array().notNull(),
  /** Null is an operator key, which sees every tenant. */
  tenant: text("tenant"),
  expiresAt: timestamp("expires_at", { withTimezone: true }),
  createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
});
