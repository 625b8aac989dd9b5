import { every } from "@postrider/shared/concurrency/every.ts";
import { ensureCurrentPartitions } from "@postrider/shared/store/partitions.ts";
import { withConnection } from "@postrider/shared/store/pool.ts";
import { reconcileHeldCounts } from "@postrider/shared/store/reconcile-held-counts.ts";
import type { Context } from "../context.ts";
import { foldHeldChanges } from "./fold-held-changes.ts";
import { removeExpiredKeys } from "./remove-expired-keys.ts";
import { createHeaderSealing } from "./seal-headers.ts";
import { dropOldPartitions } from "./retention.ts";

const HOUR_MS = 3_600_000;
/** Readers of the counts add what is not folded yet: a few thousand changes a second cost them a few milliseconds. */
const FOLD_EVERY_MS = 2_000;
/** An index finds what is to seal, so this costs nothing. */
const SEAL_EVERY_MS = 30_000;

/**
 * The hourly tasks and the folding of held counts. Each runs by itself, also at once, so that a failing one keeps no
 * other from running.
 */
export function startUpkeep(context: Context): { stop(): Promise<void> } {
  const { pool, log } = context;
  const tasks = [
    every(HOUR_MS, "creating partitions", log, () => ensureCurrentPartitions(pool)),
    every(HOUR_MS, "removing expired idempotency keys", log, () => removeExpiredKeys(pool)),
    every(FOLD_EVERY_MS, "folding held counts", log, () => foldHeldChanges(pool)),
    every(HOUR_MS, "reconciling held counts", log, () => withConnection(pool, reconcileHeldCounts)),
    every(SEAL_EVERY_MS, "sealing headers", log, createHeaderSealing(context)),
    every(HOUR_MS, "dropping old partitions", log, () => dropOldPartitions(context)),
  ];
  for (const task of tasks) task.trigger();
  return {
    async stop() {
      await Promise.all(tasks.map((task) => task.stop()));
    },
  };
}
