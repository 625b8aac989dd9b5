import { burstOf } from "./rate-limit.ts";
import type { LimitName } from "./slot-pool.ts";
import type { SubscriptionQueue } from "./subscription-queue.ts";

/** How long a delivery may wait here for its own subscription before it is held. */
export const MAX_WAIT_MS = 1_000;
/** Requests under way of a subscription that has not answered yet, and the part of all slots that they are at most. */
const INITIAL_WINDOW = { max: 4, min: 2, part: 1 / 8 };
/**
 * A subscription whose requests average 1 s or more may use at most 1/6 of the free slots. Ten of them then use 160 of
 * 256; without this, 233.
 */
const SLOW = { ms: 1_000, part: 1 / 6 };

/** @param size the worker's slots */
export const initialWindow = (size: number): number => {
  const { max, min, part } = INITIAL_WINDOW;
  return Math.min(max, Math.max(min, Math.floor(size * part)));
};

/** How many requests a subscription may have under way by its own limits. */
export const limitOf = ({ maxInFlight, window }: SubscriptionQueue): number => Math.min(maxInFlight, window);

/** How many requests a subscription may have under way so that slots are left for the others. @param free slots */
const shareOf = (queue: SubscriptionQueue, free: number): number =>
  isSlow(queue) && free > 0 ? Math.max(1, Math.floor(free * SLOW.part)) : free;

const isSlow = ({ averageMs }: SubscriptionQueue): boolean => averageMs >= SLOW.ms;

/** Whether its limits and its share of the free slots allow a subscription another request. */
export const mayStart = (queue: SubscriptionQueue, free: number): boolean =>
  queue.underWay.size < Math.min(limitOf(queue), shareOf(queue, free));

/** Whether its own requests or its own rate limit block its waiters, and not only that all slots are taken. */
export const isBlocked = (queue: SubscriptionQueue, free: number, now: number): boolean =>
  queue.underWay.size >= limitOf(queue) ||
  (free > 0 && queue.underWay.size >= shareOf(queue, free)) ||
  queue.isAskingForTokens ||
  queue.tokensAt > now;

/** The limit that blocks a saturated subscription. */
export const blockingLimit = ({ rate, rateLimitName, underWay, maxInFlight }: SubscriptionQueue): LimitName =>
  rate !== null && underWay.size < maxInFlight ? rateLimitName : "max_in_flight";

/** Whether its rate limit or its slow requests block its waiters, so that these keep no slot busy for a while. */
export const isThrottled = (queue: SubscriptionQueue, now: number): boolean =>
  queue.rate !== null || requestMs(queue, now) >= SLOW.ms;

/** How many tokens of its rate limit a subscription can use now. */
export function usableTokens(queue: SubscriptionQueue, free: number): number {
  const allowed = Math.min(limitOf(queue), Math.ceil((free + queue.underWay.size) / 2));
  return Math.max(
    1,
    Math.min(burstOf(queue.rate ?? 0, queue.rateLimitName), queue.waiters.length, allowed - queue.underWay.size),
  );
}

/**
 * How long a waiter will be blocked by its own subscription.
 *
 * @param place 1 is the subscription's next waiter to be served
 * @param size the worker's slots
 */
export function expectedWaitMs(queue: SubscriptionQueue, place: number, size: number, now: number): number {
  if (queue.isStuck) return Number.POSITIVE_INFINITY;
  const byRate = queue.rate === null ? 0 : ((place - 1) * 1_000) / queue.rate;
  if (queue.underWay.size === 0) return byRate;
  const parallel = Math.min(queue.maxInFlight, maxShareOf(queue, size));
  return Math.max(byRate, (place * requestMs(queue, now)) / parallel);
}

/** An estimate of how long the subscription's requests take. */
function requestMs(queue: SubscriptionQueue, now: number): number {
  const median = queue.underWay
    .values()
    .drop(queue.underWay.size >> 1)
    .next().value;
  // A subscriber that begins to hang shows in its requests under way first. The median ignores a single slow one.
  return median ? Math.max(queue.averageMs, now - median.startedAt) : queue.averageMs;
}

/** How many requests a subscription has under way where no other has any. */
const maxShareOf = (queue: SubscriptionQueue, size: number): number =>
  Math.max(1, Math.floor(isSlow(queue) ? (size * SLOW.part) / (1 + SLOW.part) : size / 2));
