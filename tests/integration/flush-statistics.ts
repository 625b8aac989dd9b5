import type { Pool } from "@postrider/shared/store/pool.ts";

/** Makes the pool's connections report what they have read. @param inUse how many of them the test keeps for itself */
export async function flushStatistics(pool: Pool, inUse = 0): Promise<void> {
  const clients = await Promise.all(Array.from({ length: pool.totalCount - inUse }, () => pool.connect()));
  for (const client of clients) await client.query("select pg_stat_force_next_flush()");
  for (const client of clients) client.release();
}
