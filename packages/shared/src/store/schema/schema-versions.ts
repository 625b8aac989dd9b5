import { sql } from "drizzle-orm";
import { check, integer, pgTable } from "drizzle-orm/pg-core";

/** The migrations that this database has, and the code that can run on each. A process reads it when it starts. */
export const schemaVersions = pgTable(
  "schema_versions",
  {
    /** The number of the migration. */
    version: integer("version").primaryKey(),
    /** The oldest code that can run on this schema, by the number of the newest migration that it knows. */
    serves: integer("serves").notNull(),
  },
  ({ serves, version }) => [check("schema_versions_serves_check", sql`${serves} <= ${version}`)],
);
