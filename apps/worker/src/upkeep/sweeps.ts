import type { Queue } from "bullmq";
import { familyRange, timeOfId } from "@postrider/shared/core/ids/id-range.ts";
import { dispatchJob, releaseJob, retryJob, retryJobId, type NewJob } from "@postrider/shared/queue/jobs.ts";
import { priorityOfTurn } from "@postrider/shared/queue/retry-turns.ts";
import type { Queryable } from "@postrider/shared/store/pool.ts";
import { findPastDueRetries, type PastDueRetry } from "@postrider/shared/store/sql/find-past-due-retries.ts";
import { findPendingBatches, type PendingBatch } from "@postrider/shared/store/sql/find-pending-batches.ts";
import { findStillDue } from "@postrider/shared/store/sql/find-still-due.ts";
import { findStillHeld } from "@postrider/shared/store/sql/find-still-held.ts";
import { findStillPending } from "@postrider/shared/store/sql/find-still-pending.ts";
import {
  findSubscriptionsWithHeld,
  type SubscriptionWithHeld,
} from "@postrider/shared/store/sql/find-subscriptions-with-held.ts";
import type { Context } from "../context.ts";
import { addMissing } from "./add-missing.ts";

/** What a sweep looked at, and how many jobs it added. */
export interface Swept {
  examined: number;
  repaired: number;
}

const PAGE = 500;

/** Dispatches batches of `pending` deliveries that have no live job. */
export const sweepPending = ({ queues }: Context, db: Queryable, graceMs: number): Promise<Swept> =>
  sweep<PendingBatch>(queues.dispatch as Queue, {
    findPage: (last) => findPendingBatches(db, last, PAGE),
    jobsOf: (batches) =>
      batches
        .filter(({ batch }) => Date.now() - timeOfId(batch) > graceMs)
        .map(({ batch, from, to, size }) => dispatchJob({ id: batch, size, ...familyRange([from, to]) })),
    findNeeded: (jobIds) => findStillPending(db, jobIds),
  });

/**
 * Adds the retry jobs of `retrying` deliveries that are past due and have no live job. Tenants take turns: all that is
 * past due counts, as one second's retries do otherwise.
 */
export function sweepRetrying({ queues }: Context, db: Queryable, graceMs: number): Promise<Swept> {
  const found = new Map<string, number>();
  const priorityOf = (tenant: string) => {
    const index = found.get(tenant) ?? 0;
    found.set(tenant, index + 1);
    return priorityOfTurn(index);
  };
  return sweep<PastDueRetry>(queues.retry as Queue, {
    findPage: (last) => findPastDueRetries(db, last, graceMs, PAGE),
    jobsOf: (retries) =>
      retries.map(({ id, cycle, tenant, eventType, url }) =>
        retryJob({ delivery: id, cycle, eventType, url: url ?? undefined, delayMs: 0 }, priorityOf(tenant)),
      ),
    findNeeded: async (jobIds, retries) => {
      const ids = retries.filter(({ id, cycle }) => jobIds.includes(retryJobId(id, cycle))).map(({ id }) => id);
      const due = await findStillDue(db, ids, graceMs);
      return due.map(({ id, cycle }) => retryJobId(id, cycle));
    },
  });
}

/** Adds the release jobs of subscriptions with `held` deliveries that have no live job. */
export const sweepHeld = ({ queues }: Context, db: Queryable): Promise<Swept> =>
  sweep<SubscriptionWithHeld>(queues.control as Queue, {
    findPage: (last) => findSubscriptionsWithHeld(db, last, PAGE),
    jobsOf: (subscriptions) => subscriptions.filter(({ isReleasable }) => isReleasable).map(({ id }) => releaseJob(id)),
    findNeeded: (jobIds) => findStillHeld(db, jobIds),
  });

interface Sweep<Row> {
  /** Unfinished work in the order of an index, at most PAGE rows. @param last the last row of the page before */
  findPage: (last: Row | undefined) => Promise<Row[]>;
  /** The jobs that a page of unfinished work needs. */
  jobsOf: (page: readonly Row[]) => NewJob<unknown>[];
  /** As in addMissing(). */
  findNeeded: (jobIds: readonly string[], page: readonly Row[]) => Promise<readonly string[]>;
}

async function sweep<Row>(queue: Queue, { findPage, jobsOf, findNeeded }: Sweep<Row>): Promise<Swept> {
  const total: Swept = { examined: 0, repaired: 0 };
  for (let last: Row | undefined; ;) {
    const page = await findPage(last);
    total.examined += page.length;
    total.repaired += await addMissing(queue, jobsOf(page), (jobIds) => findNeeded(jobIds, page));
    if (page.length < PAGE) return total;
    last = page.at(-1);
  }
}
