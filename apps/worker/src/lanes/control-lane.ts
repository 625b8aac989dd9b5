import type { Job } from "bullmq";
import type { ControlJob } from "@postrider/shared/queue/jobs.ts";
import { findStillExpanding } from "@postrider/shared/store/sql/find-still-expanding.ts";
import { hasReleasable } from "@postrider/shared/store/sql/has-releasable.ts";
import type { Context } from "../context.ts";
import { expand } from "../expand/expand.ts";
import { keepLeases } from "../job/lease.ts";
import { backoffStrategy, BreakerNotClosed, RetryLater } from "../job/retry-later.ts";
import { Semaphore } from "../job/semaphore.ts";
import { release } from "../release/release-held.ts";
import { Releases } from "../release/releases.ts";
import { laneOptions, LaneWorker, pauseDuringOutages, type Lane } from "./lane.ts";

/**
 * Releases that can run at once. A release mostly sleeps, and one of a new subscription should not wait for a place while
 * thousands are stuck because their receivers hang. 5,000 stuck ones take about 50 kB each, 13 % of a processor here and
 * 3 % in Redis (locks included), and a new one begins within 10 ms; with 256 places, beside 600, it began after 77 s.
 */
const PLACES = 6_000;

/** Pages of deliveries that expand jobs write at once. More would not end sooner on a busy Postgres. */
const EXPANDING = 1;

/**
 * The control lane: one release job per subscription with held deliveries, and one expand job per tenant with events
 * whose deliveries are not all written.
 */
export function startControlLane(context: Context): Lane {
  const { settings, pool, redis, enqueue, log } = context;
  const stopping = new AbortController();
  const releases = new Releases(redis, PLACES);
  const turns = new Semaphore(EXPANDING);
  const worker = new LaneWorker<ControlJob>("control", (job, _token, signal) => run(job, signal!), {
    ...laneOptions(context),
    concurrency: releases.max,
    settings: { backoffStrategy },
  });
  worker.on("error", context.onRedisError);
  worker.on("completed", ({ data }) => void restart(data));
  worker.on("failed", (job, error) => {
    if (!job) return;
    if ("tenant" in job.data) {
      if (!(error instanceof RetryLater))
        log.warn({ err: error, tenant: job.data.tenant }, "could not write deliveries; retrying");
    } else if (error instanceof BreakerNotClosed) void wakeIfClosed(job.data.subscription);
  });
  const endPauses = pauseDuringOutages(worker, context);
  const leases = keepLeases(worker, settings.lockDurationMs, stopping.signal);

  function run({ id, data }: Job<ControlJob>, cancelled: AbortSignal): Promise<void> {
    return leases.hold(id!, cancelled, (lease) =>
      "tenant" in data
        ? expand(context, data.tenant, lease, turns)
        : release(context, data.subscription, lease, releases),
    );
  }

  /** The breaker may have closed just before the job was delayed, when the job could not be woken yet. */
  async function wakeIfClosed(subscriptionId: string): Promise<void> {
    const breaker = (await context.breakerReports.read([{ id: subscriptionId, isFailing: true }])).get(subscriptionId);
    if (breaker?.state === "closed") await context.enqueue.wakeRelease(subscriptionId);
  }

  /** More work may have been committed while the job was ending, when another job with its id could not be added. */
  async function restart(data: ControlJob): Promise<void> {
    try {
      if ("tenant" in data) await enqueue.expand(await findStillExpanding(pool, [data.tenant]));
      else if (await hasReleasable(pool, data.subscription)) context.startRelease(data.subscription);
    } catch (error) {
      log.debug({ err: error }, "could not check for more work of a job that ended; leaving it to the watchdog");
    }
  }

  return {
    async stop() {
      stopping.abort();
      endPauses();
      await worker.close();
    },
  };
}
