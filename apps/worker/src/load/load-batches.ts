import { GroupCommit } from "@postrider/shared/concurrency/group-commit.ts";
import type { HeldReason } from "@postrider/shared/core/delivery/states.ts";
import { familyRange } from "@postrider/shared/core/ids/id-range.ts";
import type { Batch } from "@postrider/shared/queue/jobs.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import { isUnavailable } from "@postrider/shared/store/errors.ts";
import { loadBatchesRows } from "@postrider/shared/store/sql/load-batches.ts";
import type { Delivery, Subscriber } from "../delivery.ts";
import type { BreakerReports } from "../isolation/breaker-reports.ts";
import type { SlotPool } from "../isolation/slot-pool.ts";
import { loadAndHold, type Holding } from "./load-and-hold.ts";
import type { LoadSubscribers } from "./load-subscribers.ts";

/** The deliveries of a batch that are still pending, and their subscribers by the subscriptions' ids. */
export interface LoadedBatch {
  deliveries: Delivery[];
  subscribers: ReadonlyMap<string, Subscriber>;
}

interface Parts extends Holding {
  slots: Pick<SlotPool, "blockedSubscriptions">;
  breakerReports: Pick<BreakerReports, "notClosed" | "recentlyOpened">;
  loadSubscribers: LoadSubscribers;
}

/** Deliveries that are loaded together: one large batch, or many small ones. */
const MAX_ROWS = 100;

/**
 * Creates a loader of batches. Small ones that come together share their statements: most events have one delivery.
 *
 * Deliveries of saturated subscriptions and open breakers are held instead of loaded, except released ones: that costs
 * less here than one by one.
 */
export function createBatchLoader(parts: Parts) {
  const { pool, metrics, slots, breakerReports, loadSubscribers } = parts;

  /** Subscriptions that cannot take another delivery now, with the reason. */
  function saturatedOrOpen(): Map<string, HeldReason> {
    const reasons = new Map<string, HeldReason>(slots.blockedSubscriptions());
    for (const subscriptionId of breakerReports.recentlyOpened()) reasons.set(subscriptionId, "breaker");
    return reasons;
  }

  async function load(batches: readonly Batch[]): Promise<Map<string, Delivery[]>> {
    // Deliveries to these subscriptions will probably be held, so their bodies are not read.
    const bodiless = breakerReports.notClosed();
    const toHold = saturatedOrOpen();
    const loaded = new Map<string, Delivery[]>(batches.map(({ id }) => [id, []]));
    if (toHold.size > 0) {
      for (const batch of batches) loaded.set(batch.id, await loadAndHold(parts, batch, bodiless, toHold));
      return loaded;
    }
    const range = familyRange(batches.flatMap(({ from, to }) => [from, to]));
    for (const row of await loadBatchesRows(pool, [...loaded.keys()], range, bodiless)) {
      loaded.get(row.batchId)!.push(row);
    }
    for (const deliveries of loaded.values()) metrics.batchSize.observe(deliveries.length);
    return loaded;
  }

  const loads = new GroupCommit<Batch, LoadedBatch>({
    async flush(batches) {
      const loaded = await load(batches);
      const subscriptionIds = [...loaded.values()].flat().map(({ subscriptionId }) => subscriptionId);
      const subscribers = subscriptionIds.length === 0 ? new Map() : await loadSubscribers(subscriptionIds, now());
      return batches.map(({ id }) => ({ deliveries: loaded.get(id)!, subscribers }));
    },
    failsAll: isUnavailable,
    weigh: ({ size }) => ({ rows: Math.max(size, 1), bytes: 0 }),
    keysOf: ({ id }) => [id],
    maxFlushing: 2,
    maxFlush: { rows: MAX_ROWS, bytes: Number.POSITIVE_INFINITY },
    maxWaiting: { rows: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY },
  });
  return (batch: Batch): Promise<LoadedBatch> => loads.add(batch);
}
