import { expireHeldRows, type ExpiredRow } from "@postrider/shared/store/sql/expire-held.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import type { Context } from "../context.ts";

/** Rows per statement, so that no lock is held for long. A run shows the first page of them on the board. */
const PAGE = 1_000;

/**
 * Moves deliveries that have been held for longer than HOLD_LIMIT, for whatever reason, to `dead` (`expired`). They can
 * be retried like any dead letter.
 *
 * @returns how many
 */
export async function expireHeld({ pool, settings, enqueue, metrics, log }: Context): Promise<number> {
  const { holdLimitMs } = settings;
  let last: ExpiredRow["last"] | undefined;
  for (let expired = 0; ;) {
    const rows = await expireHeldRows(pool, { holdLimitMs, now: now(), limit: PAGE, after: last });
    last = rows[0]?.last;
    if (expired === 0) {
      await enqueue.showDeadLetters(
        rows.map(({ id, cycle, eventType, url, lastError }) => ({
          delivery: id,
          cycle,
          eventType,
          url,
          error: `expired: ${lastError}`,
        })),
      );
    }
    expired += rows.length;
    metrics.transitions.inc({ state: "dead", reason: "expired" }, rows.length);
    if (rows.length < PAGE) {
      if (expired > 0)
        log.warn({ expired }, "dead-lettered deliveries that were held for longer than HOLD_LIMIT (expired)");
      return expired;
    }
  }
}
