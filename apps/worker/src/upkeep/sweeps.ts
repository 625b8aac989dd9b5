import type { Queue } from "bullmq";
import { MAX_RETRY_AFTER_MS } from "@postrider/shared/core/delivery/retry-schedule.ts";
import { familyRange, timeOfId } from "@postrider/shared/core/ids/id-range.ts";
import {
  dispatchJob,
  expandJob,
  releaseJob,
  retryJob,
  retryJobId,
  tenantOfExpandJob,
} from "@postrider/shared/queue/jobs.ts";
import { priorityOfTurn } from "@postrider/shared/queue/retry-turns.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import { findExpandingTenants, type ExpandingTenant } from "@postrider/shared/store/sql/find-expanding-tenants.ts";
import { findPastDueRetries, type PastDueRetry } from "@postrider/shared/store/sql/find-past-due-retries.ts";
import { findPendingBatches, type PendingBatch } from "@postrider/shared/store/sql/find-pending-batches.ts";
import { findStillDue } from "@postrider/shared/store/sql/find-still-due.ts";
import { findStillExpanding } from "@postrider/shared/store/sql/find-still-expanding.ts";
import { findStillHeld } from "@postrider/shared/store/sql/find-still-held.ts";
import { findStillPending } from "@postrider/shared/store/sql/find-still-pending.ts";
import {
  findSubscriptionsWithHeld,
  type SubscriptionWithHeld,
} from "@postrider/shared/store/sql/find-subscriptions-with-held.ts";
import type { Context } from "../context.ts";
import { calmMs } from "../deliver/suspects.ts";
import { PAGE, type Sweep } from "./sweep.ts";

/** Clocks of workers may differ by this much, and a job that was put back may wait this long; a suspect's waits longer. */
const SLACK_MS = 10_000;
/** A clock that is further ahead than this was wrong: processes with such a clock do not start. */
const MAX_CLOCK_SKEW_MS = 60_000;

/** Dispatches batches of `pending` deliveries that have no live job. */
export const pendingSweep = ({ queues, pool, settings }: Context, graceMs: number): Sweep<PendingBatch> => ({
  queue: queues.dispatch as Queue,
  maxDelayMs: calmMs(settings) + SLACK_MS,
  findPage: (last) => findPendingBatches(pool, last, PAGE),
  jobsOf: (batches) =>
    batches
      .filter(({ batch }) => !isFresh(timeOfId(batch), now(), graceMs))
      .map(({ batch, from, to, size }) => dispatchJob({ id: batch, size, ...familyRange([from, to]) })),
  findNeeded: (jobIds) => findStillPending(pool, jobIds),
});

/** The process that made the batch may not have enqueued it yet. One from far in the future had a wrong clock. */
const isFresh = (madeAt: number, now: number, graceMs: number): boolean =>
  now - madeAt <= graceMs && madeAt - now <= MAX_CLOCK_SKEW_MS;

/**
 * Adds the retry jobs of `retrying` deliveries that are past due and have no live job. Tenants take turns: all that is
 * past due counts, as one second's retries do otherwise.
 */
export function retryingSweep({ queues, pool, settings }: Context, graceMs: number): Sweep<PastDueRetry> {
  const found = new Map<string, number>();
  const priorityOf = (tenant: string) => {
    const index = found.get(tenant) ?? 0;
    found.set(tenant, index + 1);
    return priorityOfTurn(index);
  };
  return {
    queue: queues.retry as Queue,
    maxDelayMs: calmMs(settings) + SLACK_MS,
    findPage: (last) => findPastDueRetries(pool, last, graceMs, PAGE),
    jobsOf: (retries) =>
      retries.map(({ id, cycle, tenant, eventType, url }) =>
        retryJob({ delivery: id, cycle, eventType, url: url ?? undefined, delayMs: 0 }, priorityOf(tenant)),
      ),
    findNeeded: async (jobIds) => {
      const due = await findStillDue(pool, jobIds.map(deliveryOf), graceMs);
      const dueIds = new Set(due.map(({ id, cycle }) => retryJobId(id, cycle)));
      return jobIds.filter((id) => dueIds.has(id));
    },
  };
}

const UUID_LENGTH = 36;
const deliveryOf = (jobId: string): string => jobId.slice(0, UUID_LENGTH);

/** Adds the release jobs of subscriptions with `held` deliveries that have no live job. */
export const heldSweep = ({ queues, pool, settings }: Context): Sweep<SubscriptionWithHeld> => ({
  queue: queues.control as Queue,
  // A release waits for the end of its breaker's cooldown, which Retry-After may lengthen.
  maxDelayMs: Math.max(settings.breaker.cooldownMs, MAX_RETRY_AFTER_MS) + SLACK_MS,
  findPage: (last) => findSubscriptionsWithHeld(pool, last, PAGE),
  jobsOf: (subscriptions) => subscriptions.filter(({ isReleasable }) => isReleasable).map(({ id }) => releaseJob(id)),
  findNeeded: (jobIds) => findStillHeld(pool, jobIds),
});

/** Adds the expand jobs of tenants with events whose deliveries are not all written, and that have no live job. */
export const expandingSweep = ({ queues, pool }: Context): Sweep<ExpandingTenant> => ({
  queue: queues.control as Queue,
  maxDelayMs: SLACK_MS,
  findPage: (last) => findExpandingTenants(pool, last, PAGE),
  jobsOf: (tenants) => tenants.map(({ tenant }) => expandJob(tenant)),
  findNeeded: async (jobIds) =>
    (await findStillExpanding(pool, jobIds.map(tenantOfExpandJob))).map((tenant) => expandJob(tenant).opts.jobId),
});
