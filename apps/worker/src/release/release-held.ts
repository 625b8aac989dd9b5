import { setTimeout as sleep } from "node:timers/promises";
import { GENTLE, mostOf, nextWindow } from "@postrider/shared/core/release-window.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { cancelUnfinished } from "./cancel-unfinished.ts";
import type { Context } from "../context.ts";
import { BreakerNotClosed, RetryLater } from "../job/retry-later.ts";
import type { JobLease } from "../job/lease.ts";
import { probe } from "./probe.ts";
import { readBudget, releaseLongestHeld, whereAre } from "./release-queries.ts";

/** How often it looks what has become of what it released: soon while that moves, less often while it does not. */
const LOOK_MS = { least: 50, most: 500 };
/** So many releases in one process may look as often as that; more of them look less often, all together as often. */
const OFTEN_LOOKING = 4;
/** When all places of the control lane are taken, a release makes room for the next one after this. */
const TURN_MS = 30_000;
/** A subscriber that has no room for a single one is left alone for this long; longer each time that it still has none. */
const FULL_MS = { least: 1_000, most: 4_000 };
/** How long it goes on looking when nothing is held any more: for what was on its way to being held when it was called. */
const LINGER_MS = 1_500;
const REDIS_RETRY_MS = 1_000;

/**
 * The release job of one subscription, the only thing that moves deliveries out of `held`. While the breaker is open
 * it waits for the end of the cooldown and probes; while it is closed it puts deliveries back on the dispatch lane,
 * what has been held for longest first, a window of them at a time (core/release-pace.ts). It ends when nothing is held, or when the
 * subscription is paused or disabled. Its pace is in this process's memory: a job that runs again begins gently.
 *
 * @param crowd how many releases run in this process, and how many can
 * @throws RetryLater where the job shall run again later
 */
export async function release(
  context: Context,
  subscriptionId: string,
  lease: JobLease,
  crowd: { running: number; max: number },
): Promise<void> {
  const { breakerReports, metrics, log } = context;
  /** Released, and pending when last looked at. */
  const onItsWay = new Set<string>();
  let window = GENTLE;
  let lookMs = LOOK_MS.least;
  let fullMs = FULL_MS.least;
  let released = 0;
  const startedAt = performance.now();
  let movedAt = startedAt;
  while (!lease.signal.aborted) {
    const budget = await readBudget(context, subscriptionId);
    if (budget.state === "deleted") return cancelUnfinished(context, subscriptionId, lease);
    if (budget.state !== "active") return;

    const breaker = (await breakerReports.read([subscriptionId])).get(subscriptionId);
    if (!breaker) throw new RetryLater("Redis is away", REDIS_RETRY_MS);
    if (breaker.state !== "closed") {
      const waitMs = breaker.until - breaker.now;
      if (waitMs > 0) throw new BreakerNotClosed(`the breaker is ${breaker.state}`, waitMs);
      if (!(await probe(context, subscriptionId, lease))) {
        // Nothing is left that fails: how long it has been failing is counted anew from the next failure on.
        context.outageClock.clear(subscriptionId);
        return;
      }
      continue;
    }

    const seen = { ...(await whereAre(context, onItsWay)), failures: breaker.failures };
    window = nextWindow(window, seen, mostOf(budget.rateLimit, budget.maxInFlight));
    // Topped up by half windows, so that a round costs few statements.
    const room = onItsWay.size <= window / 2 ? window - onItsWay.size : 0;
    const moved = room > 0 ? await releaseLongestHeld(context, subscriptionId, room, budget.maxInFlight) : [];
    for (const id of moved) onItsWay.add(id);
    released += moved.length;
    metrics.released.inc(moved.length);

    const isMoving = moved.length > 0 || seen.through > 0;
    if (isMoving || onItsWay.size > 0) movedAt = performance.now();
    if (performance.now() - movedAt > LINGER_MS) break;
    if (crowd.running >= crowd.max && performance.now() - startedAt > TURN_MS) {
      throw new RetryLater("others wait for their release", REDIS_RETRY_MS);
    }
    lookMs = isMoving ? Math.max(LOOK_MS.least, lookMs / 2) : Math.min(LOOK_MS.most, lookMs * 2);
    // A window of a limited rate takes its time: to look twice meanwhile is often enough.
    const windowMs = budget.rateLimit === null ? 0 : (500 * window) / budget.rateLimit;
    const crowdedMs = LOOK_MS.least * (crowd.running / OFTEN_LOOKING);
    const isFull = seen.cameBack > 0 && window === GENTLE;
    const pauseMs = isFull ? fullMs : Math.max(lookMs, windowMs, crowdedMs);
    await sleep(pauseMs, undefined, { signal: lease.signal }).catch(() => undefined);
    fullMs = isFull ? Math.min(FULL_MS.most, 2 * fullMs) : FULL_MS.least;
  }
  if (lease.signal.aborted) throw new RetryLater("given back", 0);
  if (released > 0) {
    log.info({ subscription: toPublicId("sub", subscriptionId), released }, "held deliveries released");
  }
}
