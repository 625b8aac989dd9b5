import { AbortListeners } from "./abort-listeners.ts";
import { BackPressure } from "./back-pressure.ts";
import {
  blockingLimit,
  expectedWaitMs,
  initialWindow,
  isBlocked,
  isThrottled,
  MAX_WAIT_MS,
  mayStart,
  usableTokens,
} from "./limits.ts";
import { burstOf, type TakeTokens } from "./rate-limit.ts";
import type { LimitName, SlotPool, SlotRequest, SlotResult } from "./slot-pool.ts";
import {
  complete,
  nextPlace,
  placeOf,
  SubscriptionQueues,
  type SubscriptionQueue,
  type Waiter,
} from "./subscription-queue.ts";
import { Turns } from "./turns.ts";

const SWEEP_MS = 50;

/**
 * The worker's slots: how many HTTP requests may be under way at once, and whose turn is next.
 *
 * - A subscription begins with a few slots and gets one more for every request that completes, up to `maxInFlight`. So
 *   a subscriber that does not answer keeps only those few. A subscription never uses more slots than it leaves free,
 *   and a slow one at most a sixth of that: slow subscribers, however many, approach the worker's limit and do not
 *   reach it.
 * - Tenants take turns, and within a tenant subscriptions do; within a subscription the oldest delivery is first.
 * - A request that its own subscription blocks is rejected after a second, or at once where the expected wait is
 *   longer. A request that only waits for a free slot keeps waiting: that is how the worker becomes full.
 */
export class Slots implements SlotPool {
  readonly size: number;
  readonly #takeTokens: TakeTokens;
  readonly #queues: SubscriptionQueues;
  readonly #turns = new Turns();
  readonly #backPressure: BackPressure;
  readonly #abortListeners = new AbortListeners((waiter) => this.#leave(waiter, { kind: "aborted" }));
  #inUse = 0;
  #sweeping: NodeJS.Timeout | undefined;

  constructor(size: number, takeTokens: TakeTokens) {
    this.size = size;
    this.#takeTokens = takeTokens;
    this.#queues = new SubscriptionQueues(initialWindow(size));
    this.#backPressure = new BackPressure(size);
  }

  get inUse(): number {
    return this.#inUse;
  }

  get waiting(): number {
    return this.#backPressure.waiting;
  }

  get isFull(): boolean {
    return this.#backPressure.isFull;
  }

  get isOverfull(): boolean {
    return this.#backPressure.isOverfull;
  }

  waitForCapacity(signal: AbortSignal, maxMs: number): Promise<void> {
    return this.#backPressure.waitForCapacity(signal, maxMs);
  }

  acquire(request: SlotRequest): Promise<SlotResult> {
    if (request.signal.aborted) return Promise.resolve({ kind: "aborted" });
    const queue = this.#queues.of(request);
    if (queue.waiters.length === 0 && queue.rate === null && mayStart(queue, this.#free)) {
      return Promise.resolve(this.#start(queue));
    }
    const place = placeOf(queue, request);
    if (request.canBeHeld && this.#wouldWaitTooLong(queue, place + 1)) {
      this.#queues.setAsideIfIdle(queue);
      return Promise.resolve({ kind: "rejected", reason: blockingLimit(queue) });
    }
    return new Promise((resolve) => {
      this.#enter({ request, queue, since: performance.now(), resolve }, place);
    });
  }

  hasWaiters(subscription: string): boolean {
    return this.#queues.hasWaiters(subscription);
  }

  /** Probes are skipped: their subscription's breaker is open anyway. */
  *blockedSubscriptions(): Generator<[subscription: string, reason: LimitName]> {
    for (const queue of this.#queues.busy()) {
      if (queue.isProbe) continue;
      if (this.#wouldWaitTooLong(queue, nextPlace(queue) + 1)) yield [queue.subscription, blockingLimit(queue)];
    }
  }

  get #free(): number {
    return this.size - this.#inUse;
  }

  #wouldWaitTooLong(queue: SubscriptionQueue, place: number): boolean {
    return expectedWaitMs(queue, place, this.size, performance.now()) > MAX_WAIT_MS;
  }

  #start(queue: SubscriptionQueue): SlotResult {
    const request = { startedAt: performance.now() };
    queue.underWay.add(request);
    this.#inUse += 1;
    return { kind: "granted", release: () => this.#release(queue, request) };
  }

  #release(queue: SubscriptionQueue, request: { startedAt: number }): void {
    const now = performance.now();
    this.#inUse -= 1;
    complete(queue, request, now);
    this.#backPressure.countCompleted(now);
    this.#turns.update(queue);
    if (this.waiting > 0) this.#serve();
    this.#queues.setAsideIfIdle(queue);
  }

  #enter(waiter: Waiter, place: number): void {
    const { queue, request } = waiter;
    this.#abortListeners.add(waiter);
    queue.waiters.splice(place, 0, waiter);
    this.#backPressure.countWaiting();
    this.#turns.update(queue);
    this.#sweeping ??= setInterval(() => this.#sweep(), SWEEP_MS);
    if (queue.rate !== null) this.#serve();
    if (isBlocked(queue, this.#free, performance.now())) request.onBlocked();
  }

  #leave(waiter: Waiter, result: SlotResult): void {
    const { queue } = waiter;
    const index = queue.waiters.indexOf(waiter);
    if (index < 0) return;
    queue.waiters.splice(index, 1);
    this.#abortListeners.remove(waiter);
    this.#backPressure.countLeft();
    this.#turns.update(queue);
    if (this.waiting === 0) {
      clearInterval(this.#sweeping);
      this.#sweeping = undefined;
    }
    this.#queues.setAsideIfIdle(queue);
    this.#backPressure.wakeCapacityWaiters();
    waiter.resolve(result);
  }

  /** Gives the free slots to the next requests in turn, until no queue may start one. */
  #serve(): void {
    for (let served = true; served && this.#inUse < this.size;) {
      served = false;
      for (const queue of this.#turns.inOrder()) {
        if (!mayStart(queue, this.#free)) continue;
        if (queue.rate !== null) {
          this.#askForTokens(queue);
          continue;
        }
        this.#startFirst(queue);
        served = true;
        break;
      }
    }
  }

  #startFirst(queue: SubscriptionQueue): void {
    this.#turns.moveToEnd(queue);
    this.#leave(queue.waiters[0]!, this.#start(queue));
  }

  /** Asks the rate limit, at once or when it has a token again; one call and one timer per queue at a time. */
  #askForTokens(queue: SubscriptionQueue): void {
    if (queue.isAskingForTokens) return;
    const waitMs = queue.tokensAt - performance.now();
    if (waitMs > 0) {
      queue.timer ??= setTimeout(() => {
        queue.timer = undefined;
        this.#serve();
      }, Math.ceil(waitMs));
      return;
    }
    this.#turns.moveToEnd(queue);
    queue.isAskingForTokens = true;
    const wanted = usableTokens(queue, this.#free);
    // The slots are reserved before the call returns: tokens without a free slot would be lost to the whole fleet.
    this.#inUse += wanted;
    void this.#takeTokens(queue.subscription, queue.rate!, burstOf(queue.rate!, queue.rateLimitName), wanted).then(
      ({ granted, retryInMs }) => {
        this.#inUse -= wanted;
        queue.isAskingForTokens = false;
        queue.tokensAt = performance.now() + retryInMs;
        // Tokens are used at once or lost: kept ones would be sent later as a burst beyond the limit.
        for (let left = granted; left > 0 && queue.waiters.length > 0; left -= 1) this.#startFirst(queue);
        this.#queues.setAsideIfIdle(queue);
        this.#serve();
      },
    );
  }

  /** Rejects the requests that their own subscription has blocked for a second. */
  #sweep(): void {
    const now = performance.now();
    this.#backPressure.resetThrottled();
    for (const queue of Array.from(this.#queues.busy())) {
      if (queue.waiters.length === 0 || !isBlocked(queue, this.#free, now)) continue;
      if (isThrottled(queue, now)) this.#backPressure.countThrottled(queue.waiters.length);
      const overdue = queue.waiters.filter(({ since, request }) => request.canBeHeld && now - since > MAX_WAIT_MS);
      for (const waiter of overdue) this.#leave(waiter, { kind: "rejected", reason: blockingLimit(queue) });
      queue.isStuck ||= overdue.length > 0 && queue.underWay.size > 0;
    }
  }
}
