import type { Pool } from "@postrider/shared/db/pool.ts";
import { GroupCommit } from "@postrider/shared/group-commit.ts";
import { loadByIds, type Delivery } from "./load-deliveries.ts";
import type { BrokenSubscription, LoadSubscriptions, Subscription } from "./load-subscriptions.ts";

export interface RetryWork {
  delivery: Delivery;
  subscription: Subscription | BrokenSubscription | undefined;
}

/**
 * Loads what retry jobs need, one query for all that fall due together.
 *
 * @returns a function from a delivery's id to its row and subscription, or undefined where the row is gone
 */
export function createRetryLoader(pool: Pool, loadSubscriptions: LoadSubscriptions) {
  const loads = new GroupCommit<string, RetryWork | undefined>({
    async flush(ids) {
      const deliveries = await loadByIds(pool, ids);
      const subscriptionIds = deliveries.map(({ subscriptionId }) => subscriptionId);
      const subscriptions = await loadSubscriptions(subscriptionIds, Date.now());
      const found = new Map(deliveries.map((delivery) => [delivery.id, delivery]));
      return ids.map((id) => {
        const delivery = found.get(id);
        return delivery && { delivery, subscription: subscriptions.get(delivery.subscriptionId) };
      });
    },
    isDataError: () => false,
    weigh: () => ({ rows: 1, bytes: 0 }),
    // Bodies come along: 16 of the largest are 4 MiB.
    maxFlush: { rows: 16, bytes: Number.POSITIVE_INFINITY },
    maxWaiting: { rows: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY },
  });
  return (id: string): Promise<RetryWork | undefined> => loads.add(id);
}
