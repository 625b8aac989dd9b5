import type { PoolClient } from "pg";
import { claimReconciliation } from "./sql/claim-reconciliation.ts";
import { correctHeldCounts } from "./sql/correct-held-counts.ts";

const HOUR_MS = 3_600_000;
/** All held deliveries are read, some millions a second. */
const TIMEOUT_MS = 600_000;

/**
 * Compares the kept counts with the held deliveries, once an hour in the whole fleet, and corrects them. They differ
 * where deliveries were written without triggers: before there were any, or by a restore.
 *
 * @returns by how many deliveries the counts were wrong
 */
export async function reconcileHeldCounts(client: PoolClient): Promise<number> {
  await client.query("begin");
  try {
    await client.query(`set local statement_timeout = ${TIMEOUT_MS}`);
    const corrected = (await claimReconciliation(client, HOUR_MS)) ? await correctHeldCounts(client, TIMEOUT_MS) : 0;
    await client.query("commit");
    return corrected;
  } catch (error) {
    await client.query("rollback").catch(() => undefined);
    throw error;
  }
}
