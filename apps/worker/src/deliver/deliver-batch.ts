import { setTimeout as sleep } from "node:timers/promises";
import type { Batch } from "@postrider/shared/queue/jobs.ts";
import { isUnavailable } from "@postrider/shared/store/errors.ts";
import type { Context } from "../context.ts";
import type { Delivery, Result, Subscriber, Work } from "../delivery.ts";
import type { JobLease } from "../job/lease.ts";
import { loadBodies, sliceByBytes, type Slice } from "../load/body.ts";
import { showDeadLetter } from "./dead-letter.ts";
import { deliverOrDeadLetter, lacksBody } from "./deliver.ts";

const POSTGRES_RETRY_MS = 500;

/** What a lane learns of the batch's progress. */
export interface BatchProgress {
  /** Called once every delivery waits for its slot or for its body, so that the next job may be fetched. */
  onQueued: () => void;
  /** Called once no delivery waits any more. */
  onStarted?: () => void;
}

/**
 * Delivers the deliveries of a batch that are still pending.
 *
 * @returns true when every delivery is recorded; false when the lease ended before
 */
export async function deliverBatch(
  context: Context,
  batch: Batch,
  lease: JobLease,
  progress: BatchProgress,
): Promise<boolean> {
  const loaded = await untilAvailable(context, lease, () => context.loadBatch(batch));
  if (loaded === undefined) return false;
  const { deliveries, subscribers } = loaded;
  if (deliveries.length === 0) return true;
  const done = await deliverAll(context, deliveries, subscribers, lease, progress);
  return done === deliveries.length;
}

/** @returns how many deliveries this lane is done with */
async function deliverAll(
  context: Context,
  deliveries: readonly Delivery[],
  subscribers: ReadonlyMap<string, Subscriber>,
  lease: JobLease,
  { onQueued, onStarted }: BatchProgress,
): Promise<number> {
  const { bodies, pool } = context;
  const ended: Promise<void>[] = [];
  const failures: unknown[] = [];
  let done = 0;

  /** Resolves once the delivery no longer waits for a slot. */
  const start = (delivery: Delivery): Promise<void> =>
    new Promise((resolve) => {
      const work = { delivery, subscriber: subscribers.get(delivery.subscriptionId)! };
      const end = deliverOrDeadLetter(context, work, lease, resolve)
        .then((result) => enqueueRetry(context, work, result))
        .then(
          (isDone) => void (done += isDone ? 1 : 0),
          (error: unknown) => void failures.push(error),
        )
        .finally(() => {
          // The batch keeps its deliveries until the last one has ended, which may take minutes.
          delivery.body = null;
          resolve();
        });
      ended.push(end);
    });

  /** Starts a delivery that was loaded as the batch was. Its body did not wait for the budget, but is counted. */
  async function startLoaded(delivery: Delivery): Promise<void> {
    const { tenant, body, bodyBytes } = delivery;
    if (body === null) return start(delivery);
    bodies.add(tenant, bodyBytes);
    await start(delivery);
    bodies.release(tenant, bodyBytes);
  }

  /** Loads the bodies before a slot is acquired, because a slot must not wait for Postgres. */
  async function loadAndStart(slice: Slice): Promise<void> {
    const { tenant, bytes } = slice;
    const size = { bytes, deliveries: slice.deliveries.length };
    if (!(await bodies.acquire(tenant, size, lease.signal))) return;
    const ready = await untilAvailable(context, lease, () => loadBodies(pool, slice)).catch((error: unknown) => {
      failures.push(error);
      return undefined;
    });
    await Promise.all((ready ?? []).map(start));
    bodies.release(tenant, bytes);
  }

  const { ready, lacking } = splitByBody(deliveries, subscribers);
  const starting = [...ready.map(startLoaded), ...sliceByBytes(lacking).map(loadAndStart)];
  onQueued();
  await Promise.all(starting);
  onStarted?.();
  // The batch must not run again while some of its requests are under way.
  await Promise.all(ended);
  if (failures.length > 0) throw failures[0];
  return done;
}

/** The bodies of deliveries that are not admitted are never read, and those of released ones only in their slots. */
function splitByBody(deliveries: readonly Delivery[], subscribers: ReadonlyMap<string, Subscriber>) {
  const ready: Delivery[] = [];
  const lacking: Delivery[] = [];
  for (const delivery of deliveries) {
    (lacksBody(delivery, subscribers.get(delivery.subscriptionId)!) ? lacking : ready).push(delivery);
  }
  return { ready, lacking };
}

/** @returns whether this lane is done with the delivery */
async function enqueueRetry(context: Context, work: Work, result: Result): Promise<boolean> {
  switch (result.kind) {
    case "given_back":
      return false;
    case "done":
      return true;
    case "retrying": {
      const { id, cycle, tenant, eventType } = work.delivery;
      const { subscription } = work.subscriber;
      const url = subscription && "url" in subscription ? subscription.url.href : undefined;
      await context.enqueue.retry([{ delivery: id, cycle, tenant, eventType, url, delayMs: result.delayMs }]);
      return true;
    }
    case "dead":
      await showDeadLetter(context, work, result);
      return true;
  }
}

/**
 * Repeats a query until Postgres is available. The job keeps its lock meanwhile, and no attempt is spent.
 *
 * @returns undefined where the lease ended first
 */
async function untilAvailable<T>({ log }: Context, lease: JobLease, query: () => Promise<T>): Promise<T | undefined> {
  for (let tries = 0; !lease.signal.aborted; tries += 1) {
    try {
      return await query();
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      if (tries === 0) log.warn({ err: error }, "could not load a batch; retrying");
      await sleep(POSTGRES_RETRY_MS, undefined, { signal: lease.signal }).catch(() => undefined);
    }
  }
  return undefined;
}
