import { setTimeout as sleep } from "node:timers/promises";
import type { SharedBreaker } from "@postrider/shared/breaker/breakers.ts";
import { maxOnTheWay, nextRate } from "@postrider/shared/core/release-window.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { findReleased } from "@postrider/shared/store/sql/find-released.ts";
import {
  readSubscriptionLimits,
  type SubscriptionLimits,
} from "@postrider/shared/store/sql/read-subscription-limits.ts";
import { cancelUnfinished } from "./cancel-unfinished.ts";
import type { Context } from "../context.ts";
import { BreakerNotClosed, RetryLater } from "../job/retry-later.ts";
import type { JobLease } from "../job/lease.ts";
import { pollReleased } from "./poll-released.ts";
import { probe } from "./probe.ts";
import { releaseLongestHeld } from "./release-longest-held.ts";
import type { Releases } from "./releases.ts";
import { POLL_MS, type Run } from "./run.ts";

/** How long a batch takes from its release to the slots of a worker. */
const DISPATCH_MS = 500;
/**
 * So many releases in one process may poll as often as that; beyond, they share that rate. Those whose deliveries move
 * don't wait for those whose receivers hang.
 */
const MAX_FREQUENT_POLLERS = { moving: 16, stuck: 8 };
/** When all places of the control lane are taken, a release yields to the next one after this. */
const YIELD_AFTER_MS = 30_000;
/** A release ends when nothing has been held for this long: deliveries may be about to be held when it starts. */
const IDLE_EXIT_MS = 1_500;
const REDIS_RETRY_MS = 1_000;

/** What bounds a subscription's requests now. */
interface Limits extends SubscriptionLimits {
  /** The lower of its rate limit and its pace, requests per second; null is none. */
  limit: number | null;
}

/**
 * The release job of one subscription, the only thing that moves deliveries out of `held`. While the breaker is open
 * it waits for the end of the cooldown and probes; while it is closed it puts deliveries back on the dispatch lane,
 * longest held first, so many a second (core/release-window.ts). A released delivery waits in its worker for the
 * subscription's limits, so this job releases no more than these let through. It ends when nothing is held, or when the
 * subscription is paused or disabled.
 *
 * @throws RetryLater where the job should run again later
 */
export async function release(
  context: Context,
  subscriptionId: string,
  lease: JobLease,
  releases: Releases,
): Promise<void> {
  try {
    await releaseAll(context, subscriptionId, lease, releases);
    releases.end(subscriptionId);
  } catch (error) {
    // Its deliveries are still on their way when the job runs again.
    releases.leave(subscriptionId);
    throw error;
  }
}

async function releaseAll(
  context: Context,
  subscriptionId: string,
  lease: JobLease,
  releases: Releases,
): Promise<void> {
  let run: Run | undefined;
  await releases.waitForTurn(lease.signal);
  while (!lease.signal.aborted) {
    await context.recorder.outage.untilOver(lease.signal);
    const limits = await readSubscriptionLimits(context.pool, subscriptionId);
    if (limits.state === "deleted") return cancelUnfinished(context, subscriptionId, lease);
    if (limits.state !== "active") return;

    const breaker = await readBreaker(context, subscriptionId);
    if (breaker.state !== "closed") {
      // After an outage a release starts again slowly.
      releases.end(subscriptionId);
      run = undefined;
      if (!(await probeWhenDue(context, subscriptionId, breaker, lease, releases))) return;
      continue;
    }

    const restMs = breaker.restUntil - breaker.now;
    if (restMs > 0) {
      releases.end(subscriptionId);
      throw new RetryLater("the subscriber asked for a rest", restMs);
    }
    run ??= await beginRun(context, subscriptionId, releases);
    const limit = lowest(limits.rateLimit, breaker.pace);
    await releaseSome(context, subscriptionId, run, { ...limits, limit }, releases);
    if (performance.now() - run.lastActiveAt > IDLE_EXIT_MS) break;
    yieldWhenCrowded(run, releases);
    await sleep(pauseMs(run, limit, releases), undefined, { signal: lease.signal }).catch(() => undefined);
  }
  if (lease.signal.aborted) throw new RetryLater("given back", 0);
  if (run && run.total > 0) {
    context.log.info(
      { subscription: toPublicId("sub", subscriptionId), released: run.total },
      "held deliveries released",
    );
  }
}

/** Begins with what this process remembers, and with what Postgres knows of other processes. */
async function beginRun({ pool }: Context, subscriptionId: string, releases: Releases): Promise<Run> {
  const released = await findReleased(pool, subscriptionId);
  const run = releases.start(subscriptionId);
  for (const id of released) run.released.add(id);
  return run;
}

/** @throws RetryLater where Redis is unreachable */
async function readBreaker({ breakerReports }: Context, subscriptionId: string): Promise<SharedBreaker> {
  const breaker = (await breakerReports.read([{ id: subscriptionId, isFailing: true }])).get(subscriptionId);
  if (!breaker) throw new RetryLater("Redis is unreachable", REDIS_RETRY_MS);
  return breaker;
}

/**
 * @returns false where nothing is held to probe with
 * @throws BreakerNotClosed before the end of the cooldown
 */
async function probeWhenDue(
  context: Context,
  subscriptionId: string,
  breaker: SharedBreaker,
  lease: JobLease,
  releases: Releases,
): Promise<boolean> {
  const waitMs = breaker.until - breaker.now;
  if (waitMs > 0) throw new BreakerNotClosed(`the breaker is ${breaker.state}`, waitMs);
  return probe(context, subscriptionId, lease, releases);
}

/** The lower of the rate limit and the pace (0 is none), requests per second. */
const lowest = (rateLimit: number | null, pace: number): number | null =>
  pace > 0 ? Math.min(rateLimit ?? Number.POSITIVE_INFINITY, pace) : rateLimit;

/** Judges the rate once a second, and adds what it allows to the budget. */
function adaptRate(run: Run, limit: number | null): void {
  const now = performance.now();
  const passedS = (now - run.budgetAt) / 1_000;
  // A fraction of a delivery is kept for the next round, and after a long pause the whole of it is made up for.
  run.budget = Math.min(1 + run.rate * Math.max(1, passedS), run.budget + run.rate * passedS);
  run.budgetAt = now;
  if (now - run.judgedAt < 1_000) return;
  run.rate = nextRate(run.rate, run, limit);
  run.judgedAt = now;
  run.completed = 0;
  run.failed = 0;
}

/** Polls the released deliveries, and releases as many as there is room for. */
async function releaseSome(
  context: Context,
  subscriptionId: string,
  run: Run,
  { limit, maxInFlight }: Limits,
  releases: Releases,
): Promise<void> {
  const { released } = run;
  const { completed, failed } = await pollReleased(context.pool, released);
  run.completed += completed;
  run.failed += failed;
  adaptRate(run, limit);
  const workers = await releases.workers();
  const aheadMs = pauseMs(run, limit, releases) + DISPATCH_MS;
  const room = maxOnTheWay({ limit, maxInFlight, workers, completed, aheadMs }) - released.size;
  const count = Math.min(room, releases.roomFor(run), Math.floor(run.budget));
  const cursor = releases.cursors.of(subscriptionId);
  const ids = count > 0 ? await releaseLongestHeld(context, subscriptionId, count, workers, cursor) : [];
  for (const id of ids) released.add(id);
  run.budget -= ids.length;
  run.total += ids.length;
  context.metrics.released.inc(ids.length);

  run.isMoving = ids.length > 0 || completed > 0;
  run.pollMs = run.isMoving ? Math.max(POLL_MS.min, run.pollMs / 2) : Math.min(POLL_MS.max, run.pollMs * 2);
  // Nothing is on its way, and nothing was found to release.
  const isIdle = released.size === 0 && count > 0;
  if (!isIdle) run.lastActiveAt = performance.now();
}

/** @throws RetryLater where other releases wait for a place in the control lane and this one had its turn */
function yieldWhenCrowded({ startedAt }: Run, { running, max }: Releases): void {
  if (running >= max && performance.now() - startedAt > YIELD_AFTER_MS) {
    throw new RetryLater("others wait for their release", REDIS_RETRY_MS);
  }
}

/** The time until the next round. A limit is known beforehand, so that its releases need not be polled often. */
function pauseMs({ pollMs, isMoving }: Run, limit: number | null, { running, moving }: Releases): number {
  const pollers = isMoving ? moving / MAX_FREQUENT_POLLERS.moving : running / MAX_FREQUENT_POLLERS.stuck;
  const crowdedMs = POLL_MS.min * pollers;
  return Math.max(limit === null ? pollMs : POLL_MS.max, crowdedMs);
}
