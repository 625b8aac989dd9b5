import type { Queryable } from "../pool.ts";

/** Both null in an empty table; schema/schema-versions.ts describes the columns. */
export interface SchemaVersion {
  version: number | null;
  serves: number | null;
}

const TEXT = "select max(version) as version, max(serves) as serves from schema_versions";

/** Reads the newest migration of the database, and the oldest code that can run on all of them. */
export async function readSchemaVersion(db: Queryable): Promise<SchemaVersion> {
  const { rows } = await db.query<SchemaVersion>(TEXT);
  return rows[0]!;
}
