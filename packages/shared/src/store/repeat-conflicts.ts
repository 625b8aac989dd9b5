import { setTimeout as sleep } from "node:timers/promises";
import { isConflict } from "./errors.ts";

const MAX_TRIES = 5;
/** Two that conflicted start again at different times. */
const PAUSE_MS = 10;

/**
 * Runs a statement or a transaction, and again where Postgres rolled it back because of a concurrent one. After five
 * conflicts the caller gets the error.
 *
 * @param run must have no effects outside of Postgres
 */
export async function repeatConflicts<T>(run: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await run();
    } catch (error) {
      if (tries === MAX_TRIES || !isConflict(error)) throw error;
      await sleep(PAUSE_MS * tries * Math.random());
    }
  }
}
