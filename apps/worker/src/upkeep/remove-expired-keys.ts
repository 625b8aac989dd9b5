import type { Pool } from "@postrider/shared/store/pool.ts";

const PAGE = 10_000;

/** Deletes expired idempotency keys, a page at a time so that no lock is held for long. */
export async function removeExpiredKeys(pool: Pool): Promise<number> {
  for (let removed = 0; ;) {
    const { rowCount } = await pool.query(
      `delete from idempotency_keys where (tenant, key) in
         (select tenant, key from idempotency_keys where expires_at < now() limit ${PAGE} for update skip locked)`,
    );
    removed += rowCount ?? 0;
    if ((rowCount ?? 0) < PAGE) return removed;
  }
}
