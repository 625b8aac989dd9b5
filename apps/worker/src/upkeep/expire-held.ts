import { firstIdAt } from "@postrider/shared/core/ids/id-range.ts";
import { isOneOf } from "@postrider/shared/store/picked-rows.ts";
import type { Context } from "../context.ts";

/** Rows per statement, so that no lock is held for long. */
const PAGE = 1_000;

/**
 * Ends the holding: deliveries held for longer than HOLD_LIMIT become dead (`expired`), whatever they are held for. They can
 * be retried like any dead letter.
 *
 * @returns how many
 */
export async function expireHeld({ pool, settings, enqueue, metrics, log }: Context): Promise<number> {
  for (let expired = 0; ;) {
    const { rows } = await pool.query<{ id: string; cycle: number; eventType: string; url: string }>(
      `with overdue as materialized (
         select id from deliveries where state = 'held' and id < $2 and held_at < now() - $1 * interval '1 millisecond'
         limit ${PAGE} for update skip locked
       )
       update deliveries d set state = 'dead', dead_reason = 'expired', settled_at = now(), held_reason = null, held_at = null,
         last_error = coalesce(d.last_error, 'held for longer than HOLD_LIMIT')
       from subscriptions s
       where s.id = d.subscription_id and ${isOneOf("overdue")}
       returning d.id, d.cycle, d.event_type as "eventType", s.url`,
      // Nothing is held before it is made, so the index of what is held, and old partitions only, are looked at.
      [settings.holdLimitMs, firstIdAt(Date.now() - settings.holdLimitMs)],
    );
    expired += rows.length;
    metrics.moves.inc({ state: "dead", reason: "expired" }, rows.length);
    // Into the retry lane, which turns the jobs of dead deliveries into failed ones: the board's dead letters.
    await enqueue.retry(rows.map(({ id, ...row }) => ({ delivery: id, ...row, delayMs: 0 })));
    if (rows.length < PAGE) {
      if (expired > 0) log.warn({ expired }, "deliveries were held for longer than HOLD_LIMIT: dead (expired)");
      return expired;
    }
  }
}
