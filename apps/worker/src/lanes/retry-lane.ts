import { UnrecoverableError, Worker, type Job } from "bullmq";
import { within } from "@postrider/shared/concurrency/within.ts";
import type { RetryJob } from "@postrider/shared/queue/jobs.ts";
import type { Context } from "../context.ts";
import { deliverOrDeadLetter } from "../deliver/deliver.ts";
import { deadLetterPoison, POISON_STALLS } from "../deliver/poison.ts";
import type { Result } from "../delivery.ts";
import { keepLeases, type JobLease } from "../job/lease.ts";
import { backoffStrategy, INTERNAL_RETRY_MS, RetryLater } from "../job/retry-later.ts";
import { laneOptions, type Lane } from "./lane.ts";

/** A job that takes longer hangs because of a bug. It is given up, so that its lock is not renewed for ever. */
const JOB_DEADLINE_MS = 6 * 60_000;
const GIVEN_BACK_MS = 100;
/** Clocks of workers may differ by this much without a job running twice. */
const EARLY_MS = 500;

/**
 * The retry lane: one BullMQ job per delivery that waits for its next attempt. BullMQ delays the job; how long, and
 * whether there is a next attempt, is committed in Postgres before the job ends.
 */
export function startRetryLane(context: Context): Lane {
  const { settings } = context;
  const stopping = new AbortController();
  const worker = new Worker<RetryJob>("retry", (job, _token, signal) => run(job, signal!), {
    ...laneOptions(context),
    concurrency: settings.maxInFlight,
    settings: { backoffStrategy },
  });
  worker.on("error", context.onRedisError);
  const leases = keepLeases(worker, settings.lockDurationMs, stopping.signal);

  function run(job: Job<RetryJob>, cancelled: AbortSignal): Promise<void> {
    // The lock lapsed, and the job came back to this process while its first run is under way: wait for that one.
    if (leases.endEarlier(job.id!)) return Promise.reject(new RetryLater("still under way", INTERNAL_RETRY_MS));
    return leases.hold(job.id!, cancelled, (lease) => attemptAgain(job, lease));
  }

  async function attemptAgain(job: Job<RetryJob>, lease: JobLease): Promise<void> {
    const work = await context.loadWork(job.data.delivery);
    // Deleted by retention, or of an earlier cycle: the job has nothing to do.
    if (!work || work.delivery.cycle !== job.data.cycle) return;
    const { state, deadReason, lastError, dueInMs } = work.delivery;
    if (state === "dead") throw new UnrecoverableError(`${deadReason}: ${lastError ?? ""}`);
    if (state !== "retrying") return;
    // The lock was lost before the job could be delayed, or Redis came back with older data.
    if (dueInMs !== null && dueInMs > EARLY_MS) throw new RetryLater("not due yet", dueInMs);
    const stalls = job.stalledCounter - (job.data.stallsBefore ?? 0);
    const result = await withDeadline(
      stalls >= POISON_STALLS ? deadLetterPoison(context, work.delivery) : deliverOrDeadLetter(context, work, lease),
    );
    // An attempt was recorded, so this delivery was not the reason for the stalls before it.
    if (result.kind === "retrying" && stalls > 0) {
      await job.updateData({ ...job.data, stallsBefore: job.stalledCounter });
    }
    endJob(result);
  }

  return {
    async stop() {
      stopping.abort();
      await worker.close();
    },
  };
}

/** A record that Postgres commits after the deadline is still applied, by compare-and-set. */
const withDeadline = (result: Promise<Result>): Promise<Result> =>
  within(JOB_DEADLINE_MS, result, () => ({
    kind: "retrying",
    delayMs: INTERNAL_RETRY_MS,
    error: "internal: took too long",
  }));

/** Ends the job like its delivery: completed, delayed or failed. BullMQ takes the last two as errors. */
function endJob(result: Result): void {
  switch (result.kind) {
    case "done":
      return;
    case "retrying":
      throw new RetryLater(result.error, result.delayMs);
    case "dead":
      throw new UnrecoverableError(`${result.reason}: ${result.error}`);
    case "given_back":
      // Thrown, because BullMQ renews locks by job id, and stops that before it makes the job available again.
      throw new RetryLater("given back", GIVEN_BACK_MS);
  }
}
