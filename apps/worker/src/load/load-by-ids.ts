import type { Pool } from "@postrider/shared/store/pool.ts";
import { GroupCommit } from "@postrider/shared/concurrency/group-commit.ts";
import { loadDeliveriesByIds } from "@postrider/shared/store/sql/load-deliveries-by-ids.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import type { ScheduledDelivery, Work } from "../delivery.ts";
import type { LoadSubscribers } from "./load-subscribers.ts";

type ScheduledWork = Work & { delivery: ScheduledDelivery };

/**
 * Creates a loader of single deliveries with their subscribers. Concurrent calls share statements.
 *
 * @returns loads a delivery by id; undefined where its row does not exist
 */
export function createWorkLoader(pool: Pool, loadSubscribers: LoadSubscribers) {
  const loads = new GroupCommit<string, ScheduledWork | undefined>({
    async flush(ids) {
      const deliveries = await loadDeliveriesByIds(pool, ids);
      const subscriptionIds = deliveries.map(({ subscriptionId }) => subscriptionId);
      const subscribers = await loadSubscribers(subscriptionIds, now());
      const found = new Map(deliveries.map((delivery) => [delivery.id, delivery]));
      return ids.map((id) => {
        const delivery = found.get(id);
        return delivery && { delivery, subscriber: subscribers.get(delivery.subscriptionId)! };
      });
    },
    isDataError: () => false,
    weigh: () => ({ rows: 1, bytes: 0 }),
    // Rows come with their bodies: 16 of the largest are 4 MiB.
    maxFlush: { rows: 16, bytes: Number.POSITIVE_INFINITY },
    maxWaiting: { rows: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY },
  });
  return (id: string): Promise<ScheduledWork | undefined> => loads.add(id);
}
