import { GroupCommit } from "@postrider/shared/concurrency/group-commit.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import type { Subscriber } from "../delivery.ts";
import type { LoadSubscribers } from "./load-subscribers.ts";

const MAX_FLUSH = { rows: 500, bytes: Number.POSITIVE_INFINITY };
const MAX_WAITING = { rows: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };

/** Reads single subscribers again. Calls that are made while a query is under way share the next one. */
export function createSubscriberRefresh(load: LoadSubscribers): (subscriptionId: string) => Promise<Subscriber> {
  const reads = new GroupCommit<string, Subscriber>({
    async flush(ids) {
      const subscribers = await load(ids, now());
      return ids.map((id) => subscribers.get(id)!);
    },
    isDataError: () => false,
    weigh: () => ({ rows: 1, bytes: 0 }),
    maxFlush: MAX_FLUSH,
    maxWaiting: MAX_WAITING,
  });
  return (subscriptionId) => reads.add(subscriptionId);
}
