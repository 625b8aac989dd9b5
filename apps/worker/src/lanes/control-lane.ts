import { Worker, type Job } from "bullmq";
import type { ReleaseJob } from "@postrider/shared/queue/jobs.ts";
import type { Context } from "../context.ts";
import type { JobLease } from "../job/lease.ts";
import { release } from "../release/release-held.ts";
import { laneOptions, type Lane } from "./lane.ts";
import { backoffStrategy, BreakerNotClosed } from "../job/retry-later.ts";

/** Runs the release jobs: one per subscription with held deliveries. */
export function startControlLane(context: Context): Lane {
  const { settings, pool, log } = context;
  const stopping = new AbortController();
  // A release job mostly waits: for a probe's answer, or for what it released.
  const concurrency = { running: 0, max: settings.maxInFlight };
  const worker = new Worker<ReleaseJob>("control", (job, _token, signal) => run(job, signal!), {
    ...laneOptions(context),
    concurrency: concurrency.max,
    settings: { backoffStrategy },
  });
  worker.on("error", context.onRedisError);
  worker.on("lockRenewalFailed", (jobIds) => {
    for (const id of jobIds) worker.cancelJob(id, "lock lost");
  });
  worker.on("completed", (job) => void lookAgain(job.data.subscription));
  worker.on("failed", (job, error) => {
    if (job && error instanceof BreakerNotClosed) void wakeIfClosed(job.data.subscription);
  });

  async function run(job: Job<ReleaseJob>, cancelled: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([cancelled, stopping.signal]);
    const lease: JobLease = { signal, isHeld: () => !signal.aborted };
    concurrency.running += 1;
    try {
      await release(context, job.data.subscription, lease, concurrency);
    } finally {
      concurrency.running -= 1;
    }
  }

  /** The breaker may have been closed while the job was on its way to waiting for the end of the cooldown, where nobody could wake it. */
  async function wakeIfClosed(subscriptionId: string): Promise<void> {
    const breaker = (await context.breakerReports.read([subscriptionId])).get(subscriptionId);
    if (breaker?.state === "closed") await context.enqueue.wakeRelease(subscriptionId);
  }

  /** Something may have been held while the job was ending, when no other one could be added. */
  async function lookAgain(subscriptionId: string): Promise<void> {
    try {
      const { rowCount } = await pool.query({
        name: "is-releasable",
        text: `select from subscriptions s where id = $1 and (status = 'active' or deleted_at is not null)
               and exists (select from deliveries d where d.state = 'held' and d.subscription_id = s.id)`,
        values: [subscriptionId],
      });
      if (rowCount) context.startRelease(subscriptionId);
    } catch (error) {
      log.debug({ err: error }, "whether more is held could not be seen; the watchdog looks");
    }
  }

  return {
    async stop() {
      stopping.abort();
      await worker.close();
    },
  };
}
