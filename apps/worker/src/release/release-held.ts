import { setTimeout as sleep } from "node:timers/promises";
import type { SharedBreaker } from "@postrider/shared/breaker/breakers.ts";
import { INITIAL_RATE, maxOnTheWay, nextRate } from "@postrider/shared/core/release-window.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
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

/** How often released deliveries are polled: soon while they complete, less often while they do not. */
const POLL_MS = { min: 50, max: 500 };
/** So many releases in one process may poll as often as that; beyond, they share that rate. */
const MAX_FREQUENT_POLLERS = 4;
/** When all places of the control lane are taken, a release yields to the next one after this. */
const YIELD_AFTER_MS = 30_000;
/** Pause before the next release to a subscription that could not take a single delivery; doubles each time. */
const SATURATED_BACKOFF_MS = { min: 1_000, max: 4_000 };
/** A release ends when nothing has been held for this long: deliveries may be about to be held when it starts. */
const IDLE_EXIT_MS = 1_500;
const REDIS_RETRY_MS = 1_000;

/** A release's state, in this process's memory: a job that runs again begins with the first rate. */
interface Run {
  /** Deliveries that it released, and that were pending at the last poll. */
  readonly released: Set<string>;
  /** Deliveries per second to release, judged once a second. */
  rate: number;
  judgedAt: number;
  /** The breaker's last failure, by Redis's clock, when the rate was judged. */
  failedAt: number;
  wasSaturated: boolean;
  /** How many may be released now: a second's worth at most. */
  budget: number;
  budgetAt: number;
  pollMs: number;
  backoffMs: number;
  total: number;
  readonly startedAt: number;
  lastActiveAt: number;
}

/** Release jobs in this process: how many run, and how many can. */
interface Concurrency {
  readonly running: number;
  readonly max: number;
}

/**
 * The release job of one subscription, the only thing that moves deliveries out of `held`. While the breaker is open
 * it waits for the end of the cooldown and probes; while it is closed it puts deliveries back on the dispatch lane,
 * longest held first, so many a second (core/release-window.ts). It ends when nothing is held, or when the
 * subscription is paused or disabled.
 *
 * @throws RetryLater where the job should run again later
 */
export async function release(
  context: Context,
  subscriptionId: string,
  lease: JobLease,
  concurrency: Concurrency,
): Promise<void> {
  const run = startRun();
  while (!lease.signal.aborted) {
    const limits = await readSubscriptionLimits(context.pool, subscriptionId);
    if (limits.state === "deleted") return cancelUnfinished(context, subscriptionId, lease);
    if (limits.state !== "active") return;

    const breaker = await readBreaker(context, subscriptionId);
    if (breaker.state !== "closed") {
      if (await probeWhenDue(context, subscriptionId, breaker, lease)) continue;
      // Nothing is left that fails: the next failure starts a new outage.
      context.outageClock.clear(subscriptionId);
      return;
    }

    const restMs = breaker.restUntil - breaker.now;
    if (restMs > 0) throw new RetryLater("the subscriber asked for a rest", restMs);
    const limit = lowest(limits.rateLimit, breaker.pace);
    const round = await releaseSome(context, subscriptionId, run, { ...limits, limit }, breaker);
    if (performance.now() - run.lastActiveAt > IDLE_EXIT_MS) break;
    yieldWhenCrowded(run, concurrency);
    await pause(run, round, limit, concurrency, lease);
  }
  if (lease.signal.aborted) throw new RetryLater("given back", 0);
  if (run.total > 0) {
    context.log.info(
      { subscription: toPublicId("sub", subscriptionId), released: run.total },
      "held deliveries released",
    );
  }
}

function startRun(): Run {
  const startedAt = performance.now();
  return {
    released: new Set(),
    rate: INITIAL_RATE,
    judgedAt: startedAt,
    failedAt: Number.POSITIVE_INFINITY,
    wasSaturated: false,
    budget: 1,
    budgetAt: startedAt,
    pollMs: POLL_MS.min,
    backoffMs: SATURATED_BACKOFF_MS.min,
    total: 0,
    startedAt,
    lastActiveAt: startedAt,
  };
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
): Promise<boolean> {
  const waitMs = breaker.until - breaker.now;
  if (waitMs > 0) throw new BreakerNotClosed(`the breaker is ${breaker.state}`, waitMs);
  return probe(context, subscriptionId, lease);
}

/** What one round of a release found and did. */
interface Round {
  /** Deliveries were released, or completed since the last round. */
  isMoving: boolean;
  /** The subscription could not take even a single delivery. */
  isSaturated: boolean;
}

/** The lower of the rate limit and the pace (0 is none), requests per second. */
const lowest = (rateLimit: number | null, pace: number): number | null =>
  pace > 0 ? Math.min(rateLimit ?? Number.POSITIVE_INFINITY, pace) : rateLimit;

/** Polls the released deliveries, adapts the rate, and releases more. */
async function releaseSome(
  context: Context,
  subscriptionId: string,
  run: Run,
  { limit, maxInFlight }: SubscriptionLimits & { limit: number | null },
  { lastFailureAt }: SharedBreaker,
): Promise<Round> {
  const { completed, reheld } = await pollReleased(context.pool, run.released);
  run.wasSaturated ||= reheld > 0;
  adaptRate(run, lastFailureAt, limit);
  const room = maxOnTheWay(limit, maxInFlight) - run.released.size;
  const count = Math.min(room, Math.floor(run.budget));
  const ids = count > 0 ? await releaseLongestHeld(context, subscriptionId, count, maxInFlight) : [];
  for (const id of ids) run.released.add(id);
  run.budget -= ids.length;
  run.total += ids.length;
  context.metrics.released.inc(ids.length);

  const isMoving = ids.length > 0 || completed > 0;
  if (isMoving || run.released.size > 0) run.lastActiveAt = performance.now();
  return { isMoving, isSaturated: reheld > 0 && completed === 0 };
}

/** Judges the rate once a second, and adds what it allows to the budget. */
function adaptRate(run: Run, lastFailureAt: number, limit: number | null): void {
  const now = performance.now();
  run.budget = Math.min(Math.max(1, run.rate), run.budget + (run.rate * (now - run.budgetAt)) / 1_000);
  run.budgetAt = now;
  if (now - run.judgedAt < 1_000) return;
  run.rate = nextRate(run.rate, { hasFailed: lastFailureAt > run.failedAt, wasSaturated: run.wasSaturated }, limit);
  run.judgedAt = now;
  run.failedAt = lastFailureAt;
  run.wasSaturated = false;
}

/** @throws RetryLater where other releases wait for a place in the control lane and this one had its turn */
function yieldWhenCrowded({ startedAt }: Run, { running, max }: Concurrency): void {
  if (running >= max && performance.now() - startedAt > YIELD_AFTER_MS) {
    throw new RetryLater("others wait for their release", REDIS_RETRY_MS);
  }
}

/** Waits for the next round. */
async function pause(
  run: Run,
  { isMoving, isSaturated }: Round,
  limit: number | null,
  { running }: Concurrency,
  { signal }: JobLease,
): Promise<void> {
  run.pollMs = isMoving ? Math.max(POLL_MS.min, run.pollMs / 2) : Math.min(POLL_MS.max, run.pollMs * 2);
  // Under a limit what is on its way takes 0.8 s: polling twice meanwhile is enough.
  const halfWayMs = limit === null ? 0 : 400;
  const crowdedMs = POLL_MS.min * (running / MAX_FREQUENT_POLLERS);
  const pauseMs = isSaturated ? run.backoffMs : Math.max(run.pollMs, halfWayMs, crowdedMs);
  await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  run.backoffMs = isSaturated ? Math.min(SATURATED_BACKOFF_MS.max, 2 * run.backoffMs) : SATURATED_BACKOFF_MS.min;
}
