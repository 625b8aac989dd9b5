import { familyRange } from "@postrider/shared/core/ids/id-range.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { releaseLongestHeldRows } from "@postrider/shared/store/sql/release-longest-held.ts";
import type { Context } from "../context.ts";
import type { HeldCursor } from "./held-cursors.ts";

const MAX_BATCH = 100;

/**
 * Puts the deliveries of a subscription that have been held for longest back on the dispatch lane. A delivery that
 * failed and came due while the breaker was open was held last, so deliveries that the subscriber keeps refusing don't
 * delay the others.
 *
 * @param workers the deliveries are spread over as many batches at least, because a batch goes to one worker
 * @param cursor where to go on; it is moved, and begins anew at the end
 * @returns their ids
 */
export async function releaseLongestHeld(
  { pool, enqueue }: Pick<Context, "pool" | "enqueue">,
  subscriptionId: string,
  count: number,
  workers: number,
  cursor: HeldCursor = { last: undefined },
): Promise<string[]> {
  const batchSize = Math.min(MAX_BATCH, Math.ceil(count / workers));
  const given = { count, batchSize, batchStem: newId(), after: cursor.last };
  const rows = await releaseLongestHeldRows(pool, subscriptionId, given);
  cursor.last = rows.length < count ? undefined : rows.find(({ place }) => place === rows.length);
  const batches = [...Map.groupBy(rows, ({ batch }) => batch)].map(([id, members]) => ({
    id,
    size: members.length,
    ...familyRange(members.map((member) => member.id)),
  }));
  await enqueue.dispatch(batches);
  return rows.map(({ id }) => id);
}
