import { loadDeliveriesByIds } from "@postrider/shared/store/sql/load-deliveries-by-ids.ts";
import type { Context } from "../context.ts";
import { deliverOrDeadLetter } from "../deliver/deliver.ts";
import type { JobLease } from "../job/lease.ts";

/** From so many of the longest held the one to probe with is chosen. */
const CHOICE = 100;

/**
 * Asks whether the subscriber is back, with one real delivery; its answer moves the breaker.
 *
 * @returns false where nothing is held, so that there is nothing to ask with
 */
export async function probe(context: Context, subscriptionId: string, lease: JobLease): Promise<boolean> {
  const id = await nextToProbeWith(context, subscriptionId);
  const [delivery] = id === undefined ? [] : await loadDeliveriesByIds(context.pool, [id]);
  if (!delivery) return false;
  // Taken by somebody since: the next look finds another one, or none.
  if (delivery.state !== "held") return true;
  const subscriber = (await context.loadSubscribers([subscriptionId], Date.now())).get(subscriptionId)!;
  await deliverOrDeadLetter(context, { delivery, subscriber, trigger: "probe" }, lease);
  return true;
}

/**
 * The held delivery that was probed with longest ago. Among those never probed with, one that was never attempted, because what
 * has failed may fail again for its own sake; among these, what has been held for longest. It is marked before it is sent: one that
 * kills its worker shall not be the next one again.
 */
async function nextToProbeWith({ pool }: Context, subscriptionId: string): Promise<string | undefined> {
  const { rows } = await pool.query<{ id: string }>({
    name: "next-to-probe-with",
    // There is one probe per cooldown, so few deliveries are marked; the second look is for when all of them are.
    text: `
      update deliveries d set probed_at = now()
      where d.id = (
        select coalesce(
          (select id from (
             select id, held_at, attempt_count from deliveries
             where state = 'held' and subscription_id = $1 and probed_at is null order by held_at, id limit ${CHOICE}
           ) longest order by attempt_count > 0, held_at, id limit 1),
          (select id from deliveries where state = 'held' and subscription_id = $1 order by probed_at, id limit 1)
        )
      ) and d.held_reason is not null
      returning d.id`,
    values: [subscriptionId],
  });
  return rows[0]?.id;
}
