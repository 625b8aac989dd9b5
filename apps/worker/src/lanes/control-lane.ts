import type { Job } from "bullmq";
import type { ReleaseJob } from "@postrider/shared/queue/jobs.ts";
import { hasReleasable } from "@postrider/shared/store/sql/has-releasable.ts";
import type { Context } from "../context.ts";
import { keepLeases } from "../job/lease.ts";
import { backoffStrategy, BreakerNotClosed } from "../job/retry-later.ts";
import { release } from "../release/release-held.ts";
import { Releases } from "../release/releases.ts";
import { laneOptions, LaneWorker, type Lane } from "./lane.ts";

/**
 * Releases that can run at once. A release mostly sleeps, and one of a new subscription should not wait for a place while
 * thousands are stuck because their receivers hang. 5,000 stuck ones take about 50 kB each, 13 % of a processor here and
 * 3 % in Redis (locks included), and a new one begins within 10 ms; with 256 places, beside 600, it began after 77 s.
 */
const PLACES = 6_000;

/** The control lane: one release job per subscription with held deliveries. */
export function startControlLane(context: Context): Lane {
  const { settings, pool, redis, log } = context;
  const stopping = new AbortController();
  const releases = new Releases(redis, PLACES);
  const worker = new LaneWorker<ReleaseJob>("control", (job, _token, signal) => run(job, signal!), {
    ...laneOptions(context),
    concurrency: releases.max,
    settings: { backoffStrategy },
  });
  worker.on("error", context.onRedisError);
  worker.on("completed", (job) => void restartRelease(job.data.subscription));
  worker.on("failed", (job, error) => {
    if (job && error instanceof BreakerNotClosed) void wakeIfClosed(job.data.subscription);
  });
  const leases = keepLeases(worker, settings.lockDurationMs, stopping.signal);

  function run(job: Job<ReleaseJob>, cancelled: AbortSignal): Promise<void> {
    return leases.hold(job.id!, cancelled, (lease) => release(context, job.data.subscription, lease, releases));
  }

  /** The breaker may have closed just before the job was delayed, when the job could not be woken yet. */
  async function wakeIfClosed(subscriptionId: string): Promise<void> {
    const breaker = (await context.breakerReports.read([{ id: subscriptionId, isFailing: true }])).get(subscriptionId);
    if (breaker?.state === "closed") await context.enqueue.wakeRelease(subscriptionId);
  }

  /** A delivery may have been held while the job was ending, when another job with its id could not be added. */
  async function restartRelease(subscriptionId: string): Promise<void> {
    try {
      if (await hasReleasable(pool, subscriptionId)) context.startRelease(subscriptionId);
    } catch (error) {
      log.debug({ err: error }, "could not check for more held deliveries; leaving it to the watchdog");
    }
  }

  return {
    async stop() {
      stopping.abort();
      await worker.close();
    },
  };
}
