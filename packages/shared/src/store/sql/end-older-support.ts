import type { Queryable } from "../pool.ts";

const TEXT = "update schema_versions set serves = version where version = $1 and serves < version";

/**
 * Notes that code which does not know this migration can no longer run on the database.
 *
 * @returns false if that was noted before
 */
export async function endOlderSupport(db: Queryable, version: number): Promise<boolean> {
  const { rowCount } = await db.query(TEXT, [version]);
  return rowCount === 1;
}
