import type { Pool } from "@postrider/shared/store/pool.ts";
import { loadBodyRows } from "@postrider/shared/store/sql/load-bodies.ts";

/** The delivered bodies of these events. */
export async function loadBodies(pool: Pool, eventIds: readonly string[]): Promise<Map<string, string>> {
  const rows = await loadBodyRows(pool, eventIds);
  return new Map(rows.map(({ id, body }) => [id, body]));
}
