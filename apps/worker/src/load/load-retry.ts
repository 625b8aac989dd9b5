import type { Pool } from "@postrider/shared/store/pool.ts";
import { GroupCommit } from "@postrider/shared/concurrency/group-commit.ts";
import type { Work } from "../deliver/deliver.ts";
import { loadByIds, type ScheduledDelivery } from "./load-batch.ts";
import type { LoadSubscribers } from "./load-subscribers.ts";

type RetryWork = Work & { delivery: ScheduledDelivery };

/**
 * Loads what retry jobs need, one query for all that fall due together.
 *
 * @returns a function from a delivery's id to its row and subscriber, or undefined where the row is gone
 */
export function createRetryLoader(pool: Pool, loadSubscribers: LoadSubscribers) {
  const loads = new GroupCommit<string, RetryWork | undefined>({
    async flush(ids) {
      const deliveries = await loadByIds(pool, ids);
      const subscriptionIds = deliveries.map(({ subscriptionId }) => subscriptionId);
      const subscribers = await loadSubscribers(subscriptionIds, Date.now());
      const found = new Map(deliveries.map((delivery) => [delivery.id, delivery]));
      return ids.map((id) => {
        const delivery = found.get(id);
        return delivery && { delivery, subscriber: subscribers.get(delivery.subscriptionId)! };
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
