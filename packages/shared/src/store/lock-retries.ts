import { setTimeout as sleep } from "node:timers/promises";
import { isConflict, sqlState } from "./errors.ts";

/**
 * How long a migration waits for a lock: all statements that need the same table wait behind it, so this is also how
 * long they are blocked. Shorter than Postgres's deadlock_timeout (1 s), so that a deadlock ends the try of a migration
 * and no statement of the fleet.
 */
export const MIGRATION_LOCK_TIMEOUT = "500ms";
const LOCK_NOT_AVAILABLE = "55P03";
/** What has piled up behind a lock request gets done in between. */
const PAUSE_MS = 3_000;
/** About 20 minutes. */
const MAX_TRIES = 350;

/**
 * Runs a statement or a transaction of a migration, and again where it did not get its locks in time.
 *
 * @throws Error if other transactions keep the locks
 */
export async function withLockRetries<T>(run: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await run();
    } catch (error) {
      if (sqlState(error) !== LOCK_NOT_AVAILABLE && !isConflict(error)) throw error;
      if (tries === MAX_TRIES) {
        const reason = "other transactions, such as a dump, keep the tables locked: migrate again when they have ended";
        throw new Error(reason, { cause: error });
      }
      await sleep(PAUSE_MS);
    }
  }
}
