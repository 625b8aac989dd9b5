import { burstOf } from "./rate-limit.ts";
import type { LimitName } from "./slot-pool.ts";
import { judge, meanMs, SLOW_MS, type SubscriptionQueue } from "./subscription-queue.ts";

/** The bound that applies to a subscription now. */
export interface Limit {
  /** Requests that it may have under way in this worker. */
  max: number;
  because: LimitName;
}

/** How long a request may be blocked before its delivery is held. */
export const MAX_WAIT_MS = 1_000;

/** How many requests a subscription may have under way by its own limits. */
function ownLimitOf({ standing, window, maxInFlight }: SubscriptionQueue): Limit {
  const size = Math.floor(window.size);
  return standing === "proven" || size >= maxInFlight
    ? { max: maxInFlight, because: "max_in_flight" }
    : { max: size, because: "trial" };
}

/** How many requests a subscription may have under way, and which of its limits says so. */
export function limitOf(queue: SubscriptionQueue, share: Limit): Limit {
  const own = ownLimitOf(queue);
  return share.max < own.max ? share : own;
}

/** Whether a waiter may start as far as the subscription's own limits go. */
export const couldStart = (queue: SubscriptionQueue, now: number): boolean =>
  queue.waiters.length > 0 &&
  queue.underWay.size < ownLimitOf(queue).max &&
  !queue.isAskingForTokens &&
  queue.tokensAt <= now;

/** The limit that blocks a subscription's next request now; undefined if none does. */
export function blockingLimit(queue: SubscriptionQueue, limit: Limit, now: number): LimitName | undefined {
  if (queue.underWay.size >= limit.max) return limit.because;
  return queue.rate !== null && queue.tokensAt > now ? queue.rateLimitName : undefined;
}

/** Whether the limit is a share of the slots, and not a limit of the subscription itself. */
export const isShare = (name: LimitName): boolean => name === "share" || name === "tenant_share";

/** How many tokens of its rate limit a subscription can use now. @param free slots */
export function usableTokens(queue: SubscriptionQueue, { max }: Limit, free: number): number {
  const allowed = Math.min(max, Math.ceil((free + queue.underWay.size) / 2));
  return Math.max(
    1,
    Math.min(burstOf(queue.rate ?? 0, queue.rateLimitName), queue.waiters.length, allowed - queue.underWay.size),
  );
}

/** How long a limit will block a waiter, and which one. */
export interface Wait {
  ms: number;
  because: LimitName;
}

/** @param place 1 is the subscription's next waiter to be served */
export function expectedWait(queue: SubscriptionQueue, place: number, now: number): Wait {
  if (queue.stuckBecause) return { ms: Number.POSITIVE_INFINITY, because: queue.stuckBecause };
  const byRate = queue.rate === null ? 0 : ((place - 1) * 1_000) / queue.rate;
  const { max, because } = ownLimitOf(queue);
  const byRequests = queue.underWay.size === 0 ? 0 : (place * requestMs(queue, now)) / max;
  return byRate > byRequests ? { ms: byRate, because: queue.rateLimitName } : { ms: byRequests, because };
}

/** Whether its rate limit or its slow requests block its waiters, so that these keep no slot busy for a while. */
export const isThrottled = (queue: SubscriptionQueue, now: number): boolean =>
  queue.rate !== null || requestMs(queue, now) >= SLOW_MS;

/** An estimate of how long the subscription's requests take. */
function requestMs(queue: SubscriptionQueue, now: number): number {
  const median = queue.underWay
    .values()
    .drop(queue.underWay.size >> 1)
    .next().value;
  // A subscriber that begins to hang shows in its requests under way first. The median ignores a single slow one.
  return median ? Math.max(meanMs(queue), now - median.startedAt) : meanMs(queue);
}

/** A subscription answers while its last answer is no older than this. */
const ANSWERING_MS = 10_000;
/** A tenant is alone if no request of another one came for this long. */
const ALONE_AFTER_MS = 60_000;
/** Requests that may wait in memory for a share while their tenant is alone. */
const MAX_WAITING_ALONE = 500;

const NO_SHARE: Limit = { max: Number.POSITIVE_INFINITY, because: "share" };

/**
 * The slots that unproven subscriptions use: those on trial and the slow ones, and probes. Together they have half of
 * the worker's slots, so that proven ones always find one, however many receivers hang.
 *
 * Of that half the first part is given to the first comers. The second is kept for subscriptions that answer, and a few
 * at a time for others: so few that it lasts until the first ones have timed out. A receiver that has not been tried
 * yet then waits for about a second, not for a timeout.
 */
export class Shares {
  readonly #half: number;
  readonly #openPart: number;
  readonly #tenantPart: number;
  /** Requests under way for less than a second that may begin in the second part. */
  readonly #maxYoung: number;
  readonly #queues = new Set<SubscriptionQueue>();
  readonly #byTenant = new Map<string, number>();
  #tenant: string | undefined;
  #otherTenantAt = Number.NEGATIVE_INFINITY;
  #used = 0;
  /** Of those, how many have been under way for more than a second, as counted last. */
  #old = 0;

  /**
   * @param size the worker's slots
   * @param timeoutMs the longest time that a request takes
   */
  constructor(size: number, timeoutMs: number) {
    this.#half = Math.max(1, Math.floor(size / 2));
    this.#openPart = Math.max(1, Math.floor(this.#half / 2));
    this.#tenantPart = Math.max(1, Math.floor(this.#half / 4));
    this.#maxYoung = Math.max(1, Math.floor(((this.#half - this.#openPart) * SLOW_MS) / timeoutMs));
  }

  noteTenant(tenant: string, now: number): void {
    if (this.#tenant !== undefined && this.#tenant !== tenant) this.#otherTenantAt = now;
    this.#tenant = tenant;
  }

  /** Whether a share may hold deliveries: not while there is no other tenant to keep slots for and memory is left. */
  mayHold(waiting: number, now: number): boolean {
    return now - this.#otherTenantAt < ALONE_AFTER_MS || waiting > MAX_WAITING_ALONE;
  }

  /** Judges the queue again, after one of its requests has begun or ended, or some time has passed. */
  update(queue: SubscriptionQueue, now: number): void {
    queue.standing = judge(queue, now);
    const uses = isUnproven(queue) ? queue.underWay.size : 0;
    if (uses > 0) this.#queues.add(queue);
    else this.#queues.delete(queue);
    this.#count(queue.tenant, uses - queue.counted);
    queue.counted = uses;
  }

  /** Counts again how many requests are under way for more than a second. */
  age(now: number): void {
    this.#old = 0;
    for (const { underWay } of this.#queues) {
      for (const { startedAt } of underWay) {
        if (now - startedAt <= SLOW_MS) break;
        this.#old += 1;
      }
    }
  }

  /** What the shares leave for a subscription. @param hasOthers whether another tenant waits for a part of the half */
  limitOf(queue: SubscriptionQueue, hasOthers: boolean, now: number): Limit {
    if (!isUnproven(queue)) return NO_SHARE;
    const left = this.#left(now - queue.answeredAt < ANSWERING_MS);
    const isOver = hasOthers && this.isOverTenantPart(queue.tenant);
    return { max: queue.underWay.size + left, because: isOver ? "tenant_share" : "share" };
  }

  isOverTenantPart(tenant: string): boolean {
    return (this.#byTenant.get(tenant) ?? 0) >= this.#tenantPart;
  }

  /** Whether only a few unproven subscriptions may begin at a time. */
  get isScarce(): boolean {
    return this.#used >= this.#openPart;
  }

  #left(isAnswering: boolean): number {
    const left = Math.max(0, this.#half - this.#used);
    if (isAnswering) return left;
    if (this.isScarce) return Math.max(0, Math.min(left, this.#maxYoung - (this.#used - this.#old)));
    return this.#openPart - this.#used;
  }

  #count(tenant: string, change: number): void {
    if (change === 0) return;
    this.#used += change;
    const used = (this.#byTenant.get(tenant) ?? 0) + change;
    if (used === 0) this.#byTenant.delete(tenant);
    else this.#byTenant.set(tenant, used);
  }
}

export const isUnproven = ({ standing, isProbe }: SubscriptionQueue): boolean => isProbe || standing !== "proven";
