import { priorityOfBatch } from "../core/ids/batch-id.ts";
import { Queue, type JobsOptions } from "bullmq";
import type { Redis } from "ioredis";

/** In braces, so that a Redis Cluster keeps a queue's keys on one node. */
export const QUEUE_PREFIX = "{postrider}";
export const QUEUE_NAMES = { dispatch: "dispatch", retry: "retry", control: "control" } as const;

/** A batch of deliveries that became pending together. Its jobId is the `batch_id` on the rows, and the range bounds their ids. */
export interface DispatchJob {
  from: string;
  to: string;
  size: number;
}

/** A delivery that waits for its next attempt. `cycle` tells a stale job from the current one. */
export interface RetryJob {
  delivery: string;
  cycle: number;
  /** How often the job had stalled when its last attempt was recorded: only later stalls speak against the delivery. */
  stallsBefore?: number;
}

/** The release of a subscription's held deliveries; its jobId is the subscription's id. */
export interface ReleaseJob {
  subscription: string;
}

export interface Queues {
  dispatch: Queue<DispatchJob>;
  retry: Queue<RetryJob>;
  control: Queue<ReleaseJob>;
  close(): Promise<void>;
}

/** The producers' side of the three queues. Adding fails at once while Redis is away: the watchdog adds what was missed. */
export function createQueues(connection: Redis): Queues {
  const open = <Data>(name: string) => {
    const queue = new Queue<Data>(name, {
      connection,
      prefix: QUEUE_PREFIX,
      // Without these a queue built while Redis is down would reject for ever.
      skipWaitingForReady: true,
      skipVersionCheck: true,
      skipMetasUpdate: true,
    });
    // The connection itself logs its state.
    queue.on("error", () => undefined);
    return queue;
  };
  const dispatch = open<DispatchJob>(QUEUE_NAMES.dispatch);
  const retry = open<RetryJob>(QUEUE_NAMES.retry);
  const control = open<ReleaseJob>(QUEUE_NAMES.control);
  return {
    dispatch,
    retry,
    control,
    async close() {
      await Promise.allSettled([dispatch.close(), retry.close(), control.close()]);
    },
  };
}

interface NewJob<Data> {
  name: string;
  data: Data;
  opts: JobsOptions;
}

/**
 * Adds jobs in one round trip. One by itself goes without a pipeline: building that costs as much again as adding the job.
 *
 * @throws what Redis or its connection threw; then none, some or all were added
 */
export async function addJobs<Data>(queue: Queue<Data>, jobs: readonly NewJob<Data>[]): Promise<void> {
  const [first] = jobs;
  if (first && jobs.length === 1) await queue.add(first.name as never, first.data as never, first.opts);
  else await queue.addBulk(jobs as never);
}

/** BullMQ fixes the number of tries when a job is added; ours is decided by Postgres, so this is only "enough". */
const ENOUGH_TRIES = 1_000_000;

const dispatchOptions: JobsOptions = { removeOnComplete: true, removeOnFail: true, attempts: ENOUGH_TRIES };

const retryOptions: JobsOptions = {
  removeOnComplete: true,
  // The failed set is the board's view of dead letters: the newest 10,000 for seven days.
  removeOnFail: { count: 10_000, age: 7 * 86_400 },
  attempts: ENOUGH_TRIES,
  backoff: { type: "custom" },
  stackTraceLimit: 1,
};

/**
 * The job of a batch, with the BullMQ priority that is in the batch's id: whoever makes the job again, after Redis has lost
 * it, need not know why the batch was given it. Lower numbers are taken first, and 0, which is none, before all others.
 */
export const dispatchJobOf = (batchId: string, range: { from: string; to: string }, size: number) => {
  const priority = priorityOfBatch(batchId);
  return {
    name: `batch of ${size}`,
    data: { from: range.from, to: range.to, size } satisfies DispatchJob,
    opts: { ...dispatchOptions, jobId: batchId, ...(priority > 0 ? { priority } : {}) },
  };
};

export const retryJobId = (deliveryId: string, cycle: number): string => `${deliveryId}-${cycle}`;

/**
 * @param name what a person reads on the board: `order.created → shop.example`
 * @param delayMs 0 is due now
 */
export const retryJobOf = (delivery: string, cycle: number, name: string, delayMs: number) => ({
  name,
  data: { delivery, cycle } satisfies RetryJob,
  opts: { ...retryOptions, jobId: retryJobId(delivery, cycle), delay: Math.max(0, Math.ceil(delayMs)) },
});

/** The release of what a subscription holds; made again by whoever finds something held and no job. */
export const releaseJobOf = (subscriptionId: string) => ({
  name: "release",
  data: { subscription: subscriptionId } satisfies ReleaseJob,
  opts: {
    jobId: subscriptionId,
    removeOnComplete: true,
    removeOnFail: true,
    attempts: ENOUGH_TRIES,
    // How long the job waits before it runs again is decided by the job.
    backoff: { type: "custom" },
    stackTraceLimit: 1,
  },
});
