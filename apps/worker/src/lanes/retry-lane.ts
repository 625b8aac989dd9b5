import { UnrecoverableError, Worker, type Job } from "bullmq";
import type { RetryJob } from "@postrider/shared/queue/jobs.ts";
import { within } from "@postrider/shared/concurrency/within.ts";
import type { Context } from "../context.ts";
import { deliverOrDeadLetter } from "../deliver/deliver.ts";
import type { Result } from "../delivery.ts";
import type { JobLease } from "../job/lease.ts";
import { deadLetterPoison, POISON_STALLS } from "../deliver/poison.ts";
import { laneOptions, type Lane } from "./lane.ts";
import { backoffStrategy, OWN_TROUBLE_MS, RetryLater } from "../job/retry-later.ts";

/** A job that takes longer hangs in our own code; it is let go of, so that its lock is not renewed for ever. */
const JOB_DEADLINE_MS = 6 * 60_000;
const GIVEN_BACK_MS = 100;
/** Clocks of workers may be off by so much without a job running twice. */
const EARLY_MS = 500;

/**
 * The retry lane: one BullMQ job per delivery that waits for its next attempt. The wait is BullMQ's delay; how long it
 * is, and when it is over for good, Postgres has decided by the time the job throws.
 */
export function startRetryLane(context: Context): Lane {
  const { settings } = context;
  const stopping = new AbortController();
  const renewedAt = new Map<string, number>();

  const worker = new Worker<RetryJob>("retry", (job, _token, signal) => attemptAgain(job, signal!), {
    ...laneOptions(context),
    concurrency: settings.maxInFlight,
    settings: { backoffStrategy },
  });
  worker.on("error", context.onRedisError);
  worker.on("locksRenewed", ({ jobIds }) => {
    for (const id of jobIds) if (renewedAt.has(id)) renewedAt.set(id, performance.now());
  });
  worker.on("lockRenewalFailed", (jobIds) => {
    for (const id of jobIds) worker.cancelJob(id, "lock lost");
  });

  async function attemptAgain(job: Job<RetryJob>, cancelled: AbortSignal): Promise<void> {
    const id = job.id!;
    // Our lock lapsed and the job came back to us while the first run of it is still under way: wait for that.
    if (renewedAt.has(id)) throw new RetryLater("still under way", OWN_TROUBLE_MS);
    renewedAt.set(id, performance.now());
    const signal = AbortSignal.any([cancelled, stopping.signal]);
    const lease: JobLease = {
      signal,
      isHeld: () => !signal.aborted && performance.now() - renewedAt.get(id)! < settings.lockDurationMs,
    };
    try {
      const work = await context.loadWork(job.data.delivery);
      // Deleted by retention, settled meanwhile, or of an earlier cycle: there is nothing for this job to do.
      if (!work || work.delivery.cycle !== job.data.cycle) return;
      const { state, deadReason, lastError, dueInMs } = work.delivery;
      if (state === "dead") throw new UnrecoverableError(`${deadReason}: ${lastError ?? ""}`);
      if (state !== "retrying") return;
      // Its lock was lost before it could be delayed, or Redis is back from an older state: the job runs, and it is not time yet.
      if (dueInMs !== null && dueInMs > EARLY_MS) throw new RetryLater("not due yet", dueInMs);
      const stalls = job.stalledCounter - (job.data.stallsBefore ?? 0);
      const ending = await withDeadline(
        stalls >= POISON_STALLS ? deadLetterPoison(context, work.delivery) : deliverOrDeadLetter(context, work, lease),
      );
      // An attempt was made and recorded, so whatever stalled the job before it was not this delivery.
      if (ending.kind === "retrying" && stalls > 0) {
        await job.updateData({ ...job.data, stallsBefore: job.stalledCounter });
      }
      conclude(ending);
    } finally {
      renewedAt.delete(id);
    }
  }

  /** Tells BullMQ what Postgres knows already. */
  function conclude(ending: Result): void {
    switch (ending.kind) {
      case "done":
        return;
      case "retrying":
        throw new RetryLater(ending.error, ending.delayMs);
      case "dead":
        throw new UnrecoverableError(`${ending.reason}: ${ending.error}`);
      case "given_back":
        // Thrown, and not moved by hand: BullMQ stops renewing by job id, and must have done so before the job can be taken again.
        throw new RetryLater("given back", GIVEN_BACK_MS);
    }
  }

  return {
    async stop() {
      stopping.abort();
      await worker.close();
    },
  };
}

/** Recording may still come later (Postgres was away): then the compare-and-set decides. */
const withDeadline = (ending: Promise<Result>): Promise<Result> =>
  within(JOB_DEADLINE_MS, ending, () => ({
    kind: "retrying",
    delayMs: OWN_TROUBLE_MS,
    error: "internal: took too long",
  }));
