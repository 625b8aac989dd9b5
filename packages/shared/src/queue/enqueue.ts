import type { Queue } from "bullmq";
import {
  deadLetterJob,
  dispatchJob,
  expandJob,
  releaseJob,
  retryJob,
  type Batch,
  type DeadLetter,
  type NewJob,
  type Retry,
  type RetryJob,
} from "./jobs.ts";
import type { LaneName, Queues } from "./queues.ts";
import type { RetryTurns } from "./retry-turns.ts";

/**
 * Adds jobs to the lanes. It never throws: Postgres already has the work, so the watchdog adds the jobs that Redis
 * refused. Every call returns whether Redis accepted all jobs. Adding a job twice is harmless, because job ids are
 * fixed.
 */
export interface Enqueue {
  dispatch(batches: readonly Batch[]): Promise<boolean>;
  retry(retries: readonly Retry[]): Promise<boolean>;
  release(subscriptionIds: readonly string[]): Promise<boolean>;
  /** Writes the further deliveries of these tenants' events. */
  expand(tenants: readonly string[]): Promise<boolean>;
  /** Shows dead letters on the board. Nothing depends on it, so a failure is not counted. */
  showDeadLetters(deadLetters: readonly DeadLetter[]): Promise<void>;
  /** Runs a subscription's release job now: adds a missing job, promotes a delayed one. */
  wakeRelease(subscriptionId: string): Promise<boolean>;
}

/** Called with the number of jobs that could not be added. It must not throw. */
export type OnEnqueueFailure = (lane: LaneName, jobs: number, error: unknown) => void;

export function createEnqueue(queues: Queues, retryTurns: RetryTurns, onFailure: OnEnqueueFailure): Enqueue {
  async function enqueue<Item, Data>(
    lane: LaneName,
    items: readonly Item[],
    jobsOf: (items: readonly Item[]) => readonly NewJob<Data>[] | Promise<readonly NewJob<Data>[]>,
  ): Promise<boolean> {
    if (items.length === 0) return true;
    try {
      await addJobs(queues[lane], await jobsOf(items));
      return true;
    } catch (error) {
      onFailure(lane, items.length, error);
      return false;
    }
  }

  async function retryJobs(retries: readonly Retry[]): Promise<NewJob<RetryJob>[]> {
    const due = retries.map(({ tenant, delayMs, isManual = false }) => ({ tenant, delayMs, isManual }));
    const priorities = await retryTurns(due);
    return retries.map((retry, index) => retryJob(retry, priorities[index]));
  }

  return {
    dispatch: (batches) => enqueue("dispatch", batches, (all) => all.map(dispatchJob)),
    retry: (retries) => enqueue("retry", retries, retryJobs),
    release: (subscriptionIds) => enqueue("control", subscriptionIds, (all) => all.map(releaseJob)),
    expand: (tenants) => enqueue("control", tenants, (all) => all.map(expandJob)),
    async showDeadLetters(deadLetters) {
      if (deadLetters.length > 0)
        await addJobs(queues.deadLetters, deadLetters.map(deadLetterJob)).catch(() => undefined);
    },
    async wakeRelease(subscriptionId) {
      if (!(await this.release([subscriptionId]))) return false;
      try {
        const job = await queues.control.getJob(subscriptionId);
        if (await job?.isDelayed()) await job?.promote();
      } catch {
        // The job has started meanwhile, or Redis failed after adding it. It runs in both cases.
      }
      return true;
    },
  };
}

/**
 * Adds jobs in one round trip. A single job skips the pipeline, which would double its cost.
 *
 * @throws the error of Redis or the connection; none, some or all jobs were added
 */
export async function addJobs(queue: Queue, jobs: readonly NewJob<unknown>[]): Promise<void> {
  const [first] = jobs;
  if (first && jobs.length === 1) await queue.add(first.name, first.data, first.opts);
  else await queue.addBulk([...jobs]);
}
