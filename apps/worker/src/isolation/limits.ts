import type { BackPressure } from "./back-pressure.ts";
import { burstOf } from "./rate-limit.ts";
import type { LimitName } from "./slot-pool.ts";
import { isShare, isUnproven, type Limit, type Shares } from "./shares.ts";
import { meanMs, SLOW_MS, turnOf, type SubscriptionQueue, type Waiter } from "./subscription-queue.ts";
import type { Turns } from "./turns.ts";

/** How long a request may be blocked before its delivery is held. */
const MAX_WAIT_MS = 1_000;
/**
 * How long a receiver that has not been tried yet may wait for a share: among hundreds that hang, its turn comes sooner
 * here than after its hold, when its release job has to take its turn among theirs.
 */
const MAX_UNTRIED_WAIT_MS = 5_000;

/** How many requests a subscription may have under way by its own limits. */
function ownLimitOf({ standing, window, maxInFlight }: SubscriptionQueue): Limit {
  const size = Math.floor(window.size);
  return standing === "proven" || size >= maxInFlight
    ? { max: maxInFlight, because: "max_in_flight" }
    : { max: size, because: "trial" };
}

/** Whether a waiter may start as far as the subscription's own limits go. */
export const couldStart = (queue: SubscriptionQueue, now: number): boolean =>
  queue.waiters.length > 0 &&
  queue.underWay.size < ownLimitOf(queue).max &&
  !queue.isAskingForTokens &&
  (queue.rate === null || queue.tokensAt <= now);

/** The limit that blocks a subscription's next request now; undefined if none does. */
export function blockingLimit(queue: SubscriptionQueue, limit: Limit, now: number): LimitName | undefined {
  if (queue.underWay.size >= limit.max) return limit.because;
  return queue.rate !== null && queue.tokensAt > now ? queue.rateLimitName : undefined;
}

/** How many tokens of its rate limit a subscription can use now. @param free slots */
export function usableTokens(queue: SubscriptionQueue, { max }: Limit, free: number): number {
  const allowed = Math.min(max, Math.ceil((free + queue.underWay.size) / 2));
  return Math.max(
    1,
    Math.min(burstOf(queue.rate ?? 0, queue.rateLimitName), queue.waiters.length, allowed - queue.underWay.size),
  );
}

/** How long a limit will block a waiter, and which one. */
interface Wait {
  ms: number;
  because: LimitName;
}

/** @param place 1 is the subscription's next waiter to be served */
function expectedWait(queue: SubscriptionQueue, place: number, now: number): Wait {
  if (queue.stuckBecause) return { ms: Number.POSITIVE_INFINITY, because: queue.stuckBecause };
  const byRate = queue.rate === null ? 0 : ((place - 1) * 1_000) / queue.rate;
  const { max, because } = ownLimitOf(queue);
  // On trial every answer doubles the window, so a backlog moves much sooner than the window of now lets expect.
  const atOnce = queue.standing === "trial" ? queue.maxInFlight : max;
  const byRequests = queue.underWay.size === 0 ? 0 : (place * requestMs(queue, now)) / atOnce;
  return byRate > byRequests ? { ms: byRate, because: queue.rateLimitName } : { ms: byRequests, because };
}

/** An estimate of how long the subscription's requests take. */
function requestMs(queue: SubscriptionQueue, now: number): number {
  const median = queue.underWay
    .values()
    .drop(queue.underWay.size >> 1)
    .next().value;
  // A subscriber that begins to hang shows in its requests under way first. The median ignores a single slow one.
  return median ? Math.max(meanMs(queue), now - median.startedAt) : meanMs(queue);
}

/** The waiters whose deliveries should be held, because the limit has blocked them for too long. */
export function overdueWaiters(queue: SubscriptionQueue, because: LimitName, now: number): Waiter[] {
  const { waiters, tookMs, underWay } = queue;
  const isUntried = tookMs.length === 0 && underWay.size === 0;
  const maxMs = isShare(because) && isUntried ? MAX_UNTRIED_WAIT_MS : MAX_WAIT_MS;
  return waiters.filter(({ since, request }) => request.canBeHeld && now - since > maxMs);
}

/** What the limits of a worker say about a subscription's next request. */
export class Limits {
  readonly #shares: Shares;
  readonly #turns: Turns;
  readonly #backPressure: BackPressure;
  /** Requests that waited for a share at the last sweep. */
  shareWaiters = 0;

  constructor(shares: Shares, turns: Turns, backPressure: BackPressure) {
    this.#shares = shares;
    this.#turns = turns;
    this.#backPressure = backPressure;
  }

  /** How many requests a subscription may have under way, and which of its limits says so. */
  limitOf(queue: SubscriptionQueue, now: number): Limit {
    const own = ownLimitOf(queue);
    const share = this.#shares.limitOf(queue, this.#turns.hasOthers(queue.tenant), now);
    return share.max < own.max ? share : own;
  }

  /** @param free slots */
  mayStart(queue: SubscriptionQueue, free: number, now: number): boolean {
    if (free <= 0 || queue.underWay.size >= this.limitOf(queue, now).max) return false;
    if (this.#shares.hasLargeBodies(queue.tenant, now)) return false;
    return isUnproven(queue) || this.#shares.leavesEnough(queue, free, now);
  }

  /** Why a further delivery should be held at once. @param place where it would wait; 0 is before all others */
  reasonToHold(queue: SubscriptionQueue, place: number, now: number): LimitName | undefined {
    const { ms, because } = expectedWait(queue, turnOf(queue, place, true), now);
    if (ms > MAX_WAIT_MS) return because;
    const mayWait = place === 0 && !queue.timedOut && !this.#backPressure.isCrowded;
    if (mayWait || !this.#shares.isExhaustedFor(queue, now) || !this.mayHoldForShare(now)) return undefined;
    return this.limitOf(queue, now).because;
  }

  /** Whether a subscription's waiters keep no slot busy for a while, so that others should be fetched. */
  isThrottled(queue: SubscriptionQueue, because: LimitName | undefined, now: number): boolean {
    if (this.#shares.hasLargeBodies(queue.tenant, now)) return true;
    return because !== undefined && (isShare(because) || queue.rate !== null || requestMs(queue, now) >= SLOW_MS);
  }

  mayHoldForShare(now: number): boolean {
    return this.#shares.mayHold(this.shareWaiters, now);
  }
}
