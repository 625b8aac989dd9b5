import type { JobsOptions } from "bullmq";
import { priorityOfBatch } from "../core/ids/batch-id.ts";
import type { IdRange } from "../core/ids/id-range.ts";

/** Deliveries that became pending together and are dispatched as one job. The range bounds their ids. */
export interface Batch extends IdRange {
  id: string;
  size: number;
  /** Workers may have died of its only delivery. */
  isSuspect?: boolean;
}

/** What a job remembers of the workers that died while they worked on it (apps/worker/src/deliver/suspects.ts). */
export interface StallHistory {
  /** The job's stalls that do not count: an attempt was recorded after them, or their worker had not died. */
  stallsBefore?: number;
  suspicion?: Suspicion;
}

/** A job that is tried to find out whether its workers die of it. */
export interface Suspicion {
  /** The workers that died while they tried the suspect. */
  diedIn: string[];
  /** The worker that tries it now. */
  triedBy?: string;
}

/** Data of a dispatch job. Its jobId is the batch's id, which the rows carry as `batch_id`. */
export interface DispatchJob extends StallHistory {
  from: string;
  to: string;
  size: number;
}

/** A delivery that waits for its next attempt. */
export interface Retry {
  delivery: string;
  cycle: number;
  tenant: string;
  eventType: string;
  /** Undefined if the subscription's row is missing. */
  url: string | undefined;
  /** 0 is due now. */
  delayMs: number;
  isManual?: boolean;
}

/** Data of a retry job. A job whose `cycle` differs from the delivery's is stale. */
export interface RetryJob extends StallHistory {
  delivery: string;
  cycle: number;
}

/** A dead letter without a failed retry job, which the board shows all the same. */
export interface DeadLetter extends Pick<Retry, "delivery" | "cycle" | "eventType" | "url"> {
  /** The reason and the last error. */
  error: string;
}

/** Data of a job that only shows a dead letter. */
export interface DeadLetterJob extends RetryJob {
  error: string;
}

/** Data of a release job, which releases a subscription's held deliveries. Its jobId is the subscription's id. */
export interface ReleaseJob {
  subscription: string;
}

/** Data of an expand job, which writes the further deliveries of a tenant's events. A tenant has one. */
export interface ExpandJob {
  tenant: string;
  /** No id. A worker that knows only release jobs fails on it and leaves the job in the queue. */
  subscription: "none";
}

export type ControlJob = ReleaseJob | ExpandJob;

export interface NewJob<Data> {
  name: string;
  data: Data;
  opts: JobsOptions & { jobId: string };
}

/**
 * BullMQ fixes the number of tries when a job is added. Postgres decides when a delivery is dead, so any large number
 * works.
 */
const UNLIMITED_TRIES = 1_000_000;

const dispatchOptions: JobsOptions = { removeOnComplete: true, removeOnFail: true, attempts: UNLIMITED_TRIES };

const retryOptions: JobsOptions = {
  removeOnComplete: true,
  // The board shows the failed set as dead letters: the newest 10,000 for seven days.
  removeOnFail: { count: 10_000, age: 7 * 86_400 },
  attempts: UNLIMITED_TRIES,
  // The delay comes from the error that the job throws.
  backoff: { type: "custom" },
  stackTraceLimit: 1,
};

const deadLetterOptions: JobsOptions = { removeOnFail: retryOptions.removeOnFail!, stackTraceLimit: 0 };

const controlOptions: JobsOptions = {
  removeOnComplete: true,
  removeOnFail: true,
  attempts: UNLIMITED_TRIES,
  backoff: { type: "custom" },
  stackTraceLimit: 1,
};

/**
 * The job of a batch. Its BullMQ priority is read from the batch's id, so that a job that Redis lost is recreated with
 * the same one. BullMQ takes lower numbers first, and 0 (no priority) before all others.
 */
export function dispatchJob({ id, from, to, size, isSuspect = false }: Batch): NewJob<DispatchJob> {
  const priority = priorityOfBatch(id);
  return {
    name: `batch of ${size}`,
    data: { from, to, size, ...(isSuspect ? { suspicion: { diedIn: [] } } : {}) },
    opts: { ...dispatchOptions, jobId: id, ...(priority > 0 ? { priority } : {}) },
  };
}

export const retryJobId = (deliveryId: string, cycle: number): string => `${deliveryId}-${cycle}`;

/** @param priority its turn among the retries that are due (queue/retry-turns.ts) */
export const retryJob = (
  { delivery, cycle, eventType, url, delayMs }: Omit<Retry, "tenant" | "isManual">,
  priority = 0,
): NewJob<RetryJob> => ({
  name: jobName(eventType, url),
  data: { delivery, cycle },
  opts: {
    ...retryOptions,
    jobId: retryJobId(delivery, cycle),
    delay: Math.max(0, Math.ceil(delayMs)),
    ...(priority > 0 ? { priority } : {}),
  },
});

export const deadLetterJob = ({ delivery, cycle, eventType, url, error }: DeadLetter): NewJob<DeadLetterJob> => ({
  name: jobName(eventType, url),
  data: { delivery, cycle, error },
  opts: { ...deadLetterOptions, jobId: retryJobId(delivery, cycle) },
});

export const releaseJob = (subscription: string): NewJob<ReleaseJob> => ({
  name: "release",
  data: { subscription },
  opts: { ...controlOptions, jobId: subscription },
});

const EXPAND = "expand-";

export const expandJob = (tenant: string): NewJob<ExpandJob> => ({
  name: "expand",
  data: { tenant, subscription: "none" },
  opts: { ...controlOptions, jobId: `${EXPAND}${tenant}` },
});

export const tenantOfExpandJob = (jobId: string): string => jobId.slice(EXPAND.length);

/** The job's title on the board: `order.created → shop.example`. */
const jobName = (eventType: string, url = "unknown"): string => `${eventType} → ${URL.parse(url)?.host ?? url}`;
