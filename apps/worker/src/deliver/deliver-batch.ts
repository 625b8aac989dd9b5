import { setTimeout as sleep } from "node:timers/promises";
import { isUnavailable } from "@postrider/shared/store/errors.ts";
import type { Context } from "../context.ts";
import { deliverOrDeadLetter, type Ending } from "./deliver.ts";
import type { JobLease } from "../job/lease.ts";
import type { Delivery, Subscriber } from "../delivery.ts";
import { loadBodies } from "../load/body.ts";
import { loadBatch } from "../load/load-batch.ts";
import { SLICE_BYTES } from "@postrider/shared/store/sql/delivery-row.ts";

const POSTGRES_RETRY_MS = 500;

/**
 * Delivers what is still pending of a batch.
 *
 * @param onQueued called once when every delivery waits for its slot or is under way, so that the next job may be fetched
 * @returns true when all of it is recorded; false when the lease ended before
 */
export async function deliverBatch(
  context: Context,
  batch: { id: string; from: string; to: string },
  lease: JobLease,
  onQueued: () => void,
): Promise<boolean> {
  // What hardly will be sent now is not read from the disk.
  const bodiless = [
    ...context.breakerReports.notClosed(),
    ...context.slots.blockedSubscriptions().map(([subscriptionId]) => subscriptionId),
  ];
  const deliveries = await whenAvailable(context, lease, () => loadBatch(context, batch, bodiless));
  if (deliveries === undefined) return false;
  if (deliveries.length === 0) return true;
  const subscribers = await whenAvailable(
    context,
    lease,
    () =>
    context.loadSubscribers(deliveries.map(({ subscriptionId }) => subscriptionId), Date.now()), // prettier-ignore
  );
  if (subscribers === undefined) return false;

  /** None rejects: where one fails its neighbours are under way, and the batch must not run again beside them. */
  const endings: Promise<Ended>[] = [];
  let ended: Ended[];
  try {
    const parts = slices(deliveries, new Set(bodiless));
    for (const [index, slice] of parts.entries()) {
      const loaded = index === 0 ? slice : await whenAvailable(context, lease, () => withBodies(context, slice));
      if (loaded === undefined) break;
      const started = loaded.map(
        (delivery) =>
          new Promise<void>((resolve) => {
            const subscriber = subscribers.get(delivery.subscriptionId)!;
            endings.push(
              deliverOrDeadLetter(context, { delivery, subscriber }, lease, resolve)
                .then((ending) => schedule(context, delivery, subscriber, ending))
                .then(
                  (isDone) => ({ isDone }),
                  (problem: unknown) => ({ isDone: false, problem }),
                ) // prettier-ignore
                .finally(resolve),
            );
          }),
      );
      if (index === parts.length - 1) onQueued();
      // Bodies of the next slice are loaded when those of this one are on the wire.
      else await Promise.all(started);
    }
  } finally {
    ended = await Promise.all(endings);
  }
  const failed = ended.find((one) => "problem" in one);
  if (failed) throw failed.problem;
  return ended.length === deliveries.length && ended.every(({ isDone }) => isDone);
}

interface Ended {
  isDone: boolean;
  /** Why it could not even be recorded. */
  problem?: unknown;
}

/** @returns whether the delivery is done in this lane */
async function schedule(
  { enqueue }: Context,
  delivery: Delivery,
  { subscription }: Subscriber,
  ending: Ending,
): Promise<boolean> {
  switch (ending.kind) {
    case "given_back":
      return false;
    case "settled":
      return true;
    case "retrying":
    case "dead": {
      // A dead one, too: the retry lane turns its job into a failed one, which is how the board shows dead letters.
      const delayMs = ending.kind === "retrying" ? ending.delayMs : 0;
      const { id, cycle, eventType } = delivery;
      const url = subscription && "url" in subscription ? subscription.url.href : undefined;
      await enqueue.retry([{ delivery: id, cycle, eventType, url, delayMs }]);
      return true;
    }
  }
}

/** Tries again while Postgres is away: the job is kept, and no attempt is spent. Undefined when the lease ended first. */
async function whenAvailable<T>({ log }: Context, lease: JobLease, work: () => Promise<T>): Promise<T | undefined> {
  for (let tries = 0; !lease.signal.aborted; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      if (tries === 0) log.warn({ err: error }, "a batch waits for Postgres");
      await sleep(POSTGRES_RETRY_MS, undefined, { signal: lease.signal }).catch(() => undefined);
    }
  }
  return undefined;
}

/** The first slice came with its bodies, or needs none yet; the others are bounded in bytes. */
function slices(deliveries: readonly Delivery[], bodiless: ReadonlySet<string>): Delivery[][] {
  const isReady = ({ body, hasEvent, subscriptionId }: Delivery) =>
    body !== null || !hasEvent || bodiless.has(subscriptionId);
  const result = [deliveries.filter(isReady)];
  let bytes = Number.POSITIVE_INFINITY;
  for (const delivery of deliveries) {
    if (isReady(delivery)) continue;
    if (bytes + delivery.bodyBytes > SLICE_BYTES) {
      result.push([]);
      bytes = 0;
    }
    result.at(-1)!.push(delivery);
    bytes += delivery.bodyBytes;
  }
  return result;
}

async function withBodies({ pool }: Context, slice: readonly Delivery[]): Promise<Delivery[]> {
  const bodies = await loadBodies(pool, slice.map(({ eventId }) => eventId)); // prettier-ignore
  return slice.map((delivery) => ({ ...delivery, body: bodies.get(delivery.eventId) ?? null }));
}
