import type { PoolClient } from "pg";
import { inTransaction } from "./pool.ts";
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
export const reconcileHeldCounts = (client: PoolClient): Promise<number> =>
  inTransaction(client, async () => {
    await client.query(`set local statement_timeout = ${TIMEOUT_MS}`);
    return (await claimReconciliation(client, HOUR_MS)) ? correctHeldCounts(client, TIMEOUT_MS) : 0;
  });
