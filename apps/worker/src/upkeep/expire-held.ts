import { expireHeldRows } from "@postrider/shared/store/sql/expire-held.ts";
import type { Context } from "../context.ts";

/** Rows per statement, so that no lock is held for long. */
const PAGE = 1_000;

/**
 * Moves deliveries that have been held for longer than HOLD_LIMIT, for whatever reason, to `dead` (`expired`). They can
 * be retried like any dead letter.
 *
 * @returns how many
 */
export async function expireHeld({ pool, settings, enqueue, metrics, log }: Context): Promise<number> {
  const { holdLimitMs } = settings;
  for (let expired = 0; ;) {
    const rows = await expireHeldRows(pool, { holdLimitMs, now: Date.now(), limit: PAGE });
    expired += rows.length;
    metrics.transitions.inc({ state: "dead", reason: "expired" }, rows.length);
    // The retry lane fails the jobs of dead deliveries, which Bull Board shows as dead letters.
    await enqueue.retry(rows.map(({ id, ...row }) => ({ delivery: id, ...row, delayMs: 0 })));
    if (rows.length < PAGE) {
      if (expired > 0)
        log.warn({ expired }, "dead-lettered deliveries that were held for longer than HOLD_LIMIT (expired)");
      return expired;
    }
  }
}
