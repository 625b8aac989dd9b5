import { AbortListeners } from "./abort-listeners.ts";
import { BackPressure } from "./back-pressure.ts";
import { blockingLimit, couldStart, Limits, overdueWaiters, usableTokens } from "./limits.ts";
import { askForTokens, type TakeTokens } from "./rate-limit.ts";
import { isShare, isUnproven, Shares } from "./shares.ts";
import type { BlockingLimit, LimitName, SlotPool, SlotRequest, SlotResult } from "./slot-pool.ts";
import {
  begin,
  complete,
  nextWaiter,
  placeOf,
  skipsPace,
  SubscriptionQueues,
  type Answer,
  type Running,
  type SubscriptionQueue,
  type Waiter,
} from "./subscription-queue.ts";
import { Turns } from "./turns.ts";

const SWEEP_MS = 100;

/**
 * The worker's slots: how many HTTP requests may be under way at once, and whose turn is next.
 *
 * - A subscription that is not proven has a window of requests: one at first, and more as it answers.
 * - Those on trial and the slow ones have half of the slots together, and no proven one takes all of the rest (see
 *   `Shares`).
 * - Tenants take turns, and within a tenant subscriptions do. Proven and unproven subscriptions alternate.
 * - A request that a limit blocks for more than a second is rejected. One that only waits for a free slot keeps waiting:
 *   that is how the worker becomes full.
 */
export class Slots implements SlotPool {
  readonly size: number;
  readonly #takeTokens: TakeTokens;
  readonly #queues = new SubscriptionQueues();
  readonly #shares: Shares;
  readonly #turns: Turns;
  readonly #backPressure: BackPressure;
  readonly #limits: Limits;
  readonly #abortListeners = new AbortListeners((waiter) => this.#leave(waiter, { kind: "aborted" }));
  #inUse = 0;
  #reservedForTokens = 0;
  #sweeping: NodeJS.Timeout | undefined;

  /** @param timeoutMs the longest time that a request takes */
  constructor(size: number, timeoutMs: number, takeTokens: TakeTokens) {
    this.size = size;
    this.#takeTokens = takeTokens;
    this.#shares = new Shares(size, timeoutMs);
    this.#turns = new Turns(this.#shares);
    this.#backPressure = new BackPressure(size);
    this.#limits = new Limits(this.#shares, this.#turns, this.#backPressure);
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
    const now = performance.now();
    this.#shares.noteTenant(request.tenant, now);
    this.#sweeping ??= setInterval(() => this.#sweep(), SWEEP_MS);
    const queue = this.#queues.of(request);
    this.#place(queue, now);
    const startsAtOnce = skipsPace(queue, request) || (queue.waiters.length === 0 && queue.rate === null);
    if (startsAtOnce && this.#limits.mayStart(queue, this.#free, now))
      return Promise.resolve(this.#start(queue, request.bytes, now));
    const place = placeOf(queue, request.order);
    const reason = request.canBeHeld ? this.#limits.reasonToHold(queue, place, now) : undefined;
    if (reason) {
      this.#queues.setAsideIfIdle(queue);
      return Promise.resolve({ kind: "rejected", reason });
    }
    return new Promise((resolve) => this.#enter({ request, queue, since: now, resolve }, place));
  }

  hasWaiters(subscription: string): boolean {
    return this.#queues.hasWaiters(subscription);
  }

  /** Probes are skipped: their subscription's breaker is open anyway. */
  *blockedSubscriptions(): Generator<[subscription: string, reason: LimitName]> {
    const now = performance.now();
    for (const queue of this.#queues.busy()) {
      if (queue.isProbe) continue;
      const reason = this.#limits.reasonToHold(queue, queue.waiters.length, now);
      if (reason) yield [queue.subscription, reason];
    }
  }

  *limited(): Generator<BlockingLimit> {
    const now = performance.now();
    for (const queue of this.#queues.busy()) {
      if (queue.isProbe || (queue.waiters.length === 0 && !queue.stuckBecause)) continue;
      const limit = this.#limits.limitOf(queue, now);
      const because = blockingLimit(queue, limit, now) ?? queue.stuckBecause;
      const { subscription, rate: ratePerSecond, waiters } = queue;
      if (because) yield { subscription, because, max: limit.max, ratePerSecond, waiting: waiters.length };
    }
  }

  get #free(): number {
    return this.size - this.#inUse - this.#reservedForTokens;
  }

  #start(queue: SubscriptionQueue, bytes: number, since: number): SlotResult {
    const now = performance.now();
    const request = { startedAt: now, bytes };
    begin(queue, request);
    this.#inUse += 1;
    this.#place(queue, now);
    return {
      kind: "granted",
      waitedMs: now - since,
      release: (status, tookMs) => this.#release(queue, request, { status, tookMs }),
    };
  }

  #release(queue: SubscriptionQueue, request: Running, answer: Answer): void {
    const now = performance.now();
    this.#inUse -= 1;
    complete(queue, request, answer, now);
    this.#place(queue, now);
    if (answer.status !== undefined) this.#backPressure.countCompleted(now);
    if (this.waiting > 0) this.#serve();
    this.#queues.setAsideIfIdle(queue);
  }

  #enter(waiter: Waiter, place: number): void {
    const { queue, request } = waiter;
    this.#abortListeners.add(waiter);
    queue.waiters.splice(place, 0, waiter);
    this.#backPressure.countWaiting(request.canBeHeld);
    this.#place(queue, waiter.since);
    if (queue.rate !== null) this.#serve();
  }

  #leave(waiter: Waiter, result: SlotResult): void {
    const { queue, request } = waiter;
    const index = queue.waiters.indexOf(waiter);
    if (index < 0) return;
    queue.waiters.splice(index, 1);
    this.#abortListeners.remove(waiter);
    this.#backPressure.countLeft(request.canBeHeld);
    this.#place(queue, performance.now());
    this.#queues.setAsideIfIdle(queue);
    this.#backPressure.wakeCapacityWaiters();
    waiter.resolve(result);
  }

  /** Judges a queue again, and puts it in the line that it belongs to. */
  #place(queue: SubscriptionQueue, now: number): void {
    const mayFree = isUnproven(queue) || this.#shares.hasLargeBodies(queue.tenant, now);
    this.#shares.update(queue, now);
    this.#turns.place(queue, couldStart(queue, now), mayFree);
  }

  /** Gives the free slots to the next requests in turn, until no queue may start one. */
  #serve(): void {
    const now = performance.now();
    while (this.#free > 0) {
      const queue = this.#turns.next((candidate) => this.#limits.mayStart(candidate, this.#free, now));
      if (!queue) return;
      if (queue.rate === null) this.#startFirst(queue);
      else this.#askForTokens(queue);
    }
  }

  #startFirst(queue: SubscriptionQueue): void {
    const waiter = nextWaiter(queue);
    queue.servedReleased = !waiter.request.canBeHeld;
    this.#leave(waiter, this.#start(queue, waiter.request.bytes, waiter.since));
  }

  #askForTokens(queue: SubscriptionQueue): void {
    const now = performance.now();
    const wanted = usableTokens(queue, this.#limits.limitOf(queue, now), this.#free);
    // The slots are reserved before the call returns: tokens without a free slot would be lost to the whole fleet.
    this.#reservedForTokens += wanted;
    queue.reserved = wanted;
    askForTokens(this.#takeTokens, queue, wanted, {
      onAnswer: (granted) => {
        this.#reservedForTokens -= wanted;
        queue.reserved = 0;
        this.#place(queue, performance.now());
        // Tokens are used at once or lost: kept ones would be sent later as a burst beyond the limit.
        for (let left = granted; left > 0 && queue.waiters.length > 0; left -= 1) this.#startFirst(queue);
        this.#queues.setAsideIfIdle(queue);
        this.#serve();
      },
      onDue: () => {
        this.#place(queue, performance.now());
        this.#serve();
      },
    });
    this.#place(queue, now);
  }

  /** Judges every queue again, and rejects the requests that a limit has blocked for a second. */
  #sweep(): void {
    const now = performance.now();
    this.#backPressure.resetThrottled();
    let shareWaiters = 0;
    for (const queue of Array.from(this.#queues.busy())) {
      this.#place(queue, now);
      if (queue.waiters.length === 0) continue;
      const because = blockingLimit(queue, this.#limits.limitOf(queue, now), now);
      if (because && (!isShare(because) || this.#limits.mayHoldForShare(now))) this.#rejectOverdue(queue, because, now);
      if (because && isShare(because)) shareWaiters += queue.waiters.length;
      if (this.#limits.isThrottled(queue, because, now)) this.#backPressure.countThrottled(queue.waiters.length);
    }
    this.#limits.shareWaiters = shareWaiters;
    this.#shares.age(now);
    if (this.waiting > 0) this.#serve();
    if (!this.#queues.isIdle) return;
    clearInterval(this.#sweeping);
    this.#sweeping = undefined;
  }

  #rejectOverdue(queue: SubscriptionQueue, because: LimitName, now: number): void {
    const overdue = overdueWaiters(queue, because, now);
    for (const waiter of overdue) this.#leave(waiter, { kind: "rejected", reason: because });
    if (overdue.length > 0 && queue.underWay.size > 0) queue.stuckBecause = because;
  }
}
