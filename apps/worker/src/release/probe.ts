import { loadDeliveriesByIds } from "@postrider/shared/store/sql/load-deliveries-by-ids.ts";
import { nextToProbeWith } from "@postrider/shared/store/sql/next-to-probe-with.ts";
import type { Context } from "../context.ts";
import { deliverOrDeadLetter } from "../deliver/deliver.ts";
import type { JobLease } from "../job/lease.ts";

/**
 * Probes whether the subscriber is back, with one held delivery. The outcome is reported to the breaker.
 *
 * @returns false where nothing is held, so that there is nothing to probe with
 */
export async function probe(context: Context, subscriptionId: string, lease: JobLease): Promise<boolean> {
  const id = await nextToProbeWith(context.pool, subscriptionId);
  const [delivery] = id === undefined ? [] : await loadDeliveriesByIds(context.pool, [id]);
  if (!delivery) return false;
  // It left `held` since it was chosen: the next call chooses another one, or none.
  if (delivery.state !== "held") return true;
  const subscriber = (await context.loadSubscribers([subscriptionId], Date.now())).get(subscriptionId)!;
  await deliverOrDeadLetter(context, { delivery, subscriber, trigger: "probe" }, lease);
  return true;
}
