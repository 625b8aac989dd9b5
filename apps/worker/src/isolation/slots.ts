import { BURST, type TakeTokens } from "./rate-limit.ts";

/** What a delivery must know to stand in line. */
export interface SlotRequest {
  subscription: string;
  /** A probe waits for a free slot only: the requests that hang since before the breaker opened shall not keep it waiting. */
  isProbe?: boolean;
  tenant: string;
  /** The delivery's id: of one subscription's deliveries the oldest is served first. */
  order: string;
  /** Requests of the subscription under way at once, in this process. */
  maxInFlight: number;
  /** Requests per second over the fleet; null is no limit. */
  rateLimit: number | null;
  signal: AbortSignal;
  /** Called where it has to wait for its own subscription, so that what comes after it need not. */
  onBlocked: () => void;
}

export type SlotResult =
  /** `release()` must be called once, when the request is over. */
  | { kind: "granted"; release: () => void }
  /** Its subscription keeps it waiting for too long. */
  | { kind: "rejected"; reason: LimitName }
  | { kind: "aborted" };

type LimitName = "rate_limit" | "max_in_flight";

/** What the lanes use of the slots. */
export type SlotPool = Pick<Slots, keyof Slots>;

/** A subscription's requests in this process: those under way and those that wait. */
interface SubscriptionQueue {
  /** The subscription, or its probe, which has a queue of its own. */
  key: string;
  subscription: string;
  isProbe: boolean;
  tenant: string;
  maxInFlight: number;
  rateLimit: number | null;
  /** When each request under way began, the oldest first. */
  underWay: Set<{ startedAt: number }>;
  /** Oldest delivery first. */
  waiters: Waiter[];
  /** How many it may have under way just now: few at first, and more with every request that ends. */
  window: number;
  /** How long its requests take, in milliseconds: a moving average. */
  averageMs: number;
  /** None of its requests has ended since one that waited for them was let go of. */
  isStuck: boolean;
  /** Before this moment its rate limit has nothing to give. */
  tokensAt: number;
  isAskingForTokens: boolean;
  /** Until then, where somebody waits for it. */
  timer: NodeJS.Timeout | undefined;
  idleSince: number;
}

interface Waiter {
  request: SlotRequest;
  queue: SubscriptionQueue;
  since: number;
  resolve: (turn: SlotResult) => void;
}

/** How long a delivery may wait here for its own subscription before it is held. */
const MAX_WAIT_MS = 1_000;
const SWEEP_MS = 50;
/** Requests under way of a subscription that has not answered yet, and which part of all slots they are at most. */
const FIRST_WINDOW = { most: 4, least: 2, part: 1 / 8 };
/** Whose requests take this long may have a sixth of what it leaves free: ten of them take 160 of 256 slots, and not 233. */
const SLOW = { ms: 1_000, part: 1 / 6 };
/** So many seconds' worth of what the worker gets done may wait in it. Loading a batch takes a tenth of that. */
const ENOUGH_S = 0.25;
/** How many deliveries more than enough may wait, where they go before all others. */
const MOST_BEYOND = 1_000;
/** How long it is remembered how a subscription did that has nothing to send. */
const REMEMBER_MS = 5_000;
/** Weight of the newest request in the moving average. */
const NEWEST = 0.2;

/**
 * The worker's slots: how many HTTP requests may be under way at once, and whose turn is next.
 *
 * - A subscription begins with a few of them and has one more for every request that ended, up to `maxInFlight`: one
 *   that does not answer holds those few. It never has more than it leaves free for all others, and one that is slow no more
 *   than a sixth of that, so that slow subscribers, however many, approach the worker's limit and do not reach it.
 * - Tenants take turns, and within a tenant subscriptions do; within a subscription the oldest delivery is first.
 * - What its own subscription keeps waiting is told so (`over`) after a second, or at once where the wait can be
 *   foreseen to be longer. What merely waits for a free slot waits on: that is how the worker says that it is full.
 */
export class Slots {
  readonly size: number;
  readonly #firstWindow: number;
  readonly #takeTokens: TakeTokens;
  #inUse = 0;
  #waiting = 0;
  /** Of them, those that a slow subscriber or its rate limit kept waiting when it was last looked. */
  #waitingInVain = 0;
  /** Requests that ended, per second: a count that decays with a time constant of a second. */
  #endedPerSecond = 0;
  #endedAt = 0;
  readonly #queues = new Map<string, SubscriptionQueue>();
  /** Those with nothing under way and no waiters, longest idle first. */
  readonly #idle = new Map<string, SubscriptionQueue>();
  /** Gates that wait for the others and not for themselves, by tenant; whoever was served last is at the end of both. */
  readonly #lines = new Map<string, Set<SubscriptionQueue>>();
  /** Who leaves when a signal aborts: one listener for all, because a batch's deliveries have one signal. */
  readonly #bySignal = new Map<AbortSignal, { waiters: Set<Waiter>; onAbort: () => void }>();
  readonly #capacityWaiters = new Set<() => void>();
  #sweeping: NodeJS.Timeout | undefined;

  constructor(size: number, takeTokens: TakeTokens) {
    this.size = size;
    const { most, least, part } = FIRST_WINDOW;
    this.#firstWindow = Math.min(most, Math.max(least, Math.floor(size * part)));
    this.#takeTokens = takeTokens;
  }

  get inUse(): number {
    return this.#inUse;
  }

  get waiting(): number {
    return this.#waiting;
  }

  acquire(request: SlotRequest): Promise<SlotResult> {
    if (request.signal.aborted) return Promise.resolve({ kind: "aborted" });
    const queue = this.#queueOf(request);
    if (queue.waiters.length === 0 && queue.rateLimit === null && this.#mayStart(queue)) {
      return Promise.resolve(this.#start(queue));
    }
    const place = placeOf(queue, request.order);
    if (this.#expectedWaitMs(queue, place + 1) > MAX_WAIT_MS) {
      this.#setAsideIfIdle(queue);
      return Promise.resolve({ kind: "rejected", reason: reasonOf(queue) });
    }
    return new Promise((resolve) => {
      const waiter: Waiter = { request, queue, since: performance.now(), resolve };
      this.#listenFor(waiter);
      queue.waiters.splice(place, 0, waiter);
      this.#waiting += 1;
      this.#align(queue);
      this.#sweeping ??= setInterval(() => this.#sweep(), SWEEP_MS);
      if (queue.rateLimit !== null) this.#serve();
      if (isBlocked(queue, this.size - this.#inUse, performance.now())) request.onBlocked();
    });
  }

  /** Those for which one more would not even begin to wait, and why. A probe under way says nothing: its subscription is shut. */
  *blockedSubscriptions(): Generator<[subscription: string, reason: LimitName]> {
    for (const queue of this.#queues.values()) {
      if (queue.isProbe) continue;
      if (this.#expectedWaitMs(queue, queue.waiters.length + 1) > MAX_WAIT_MS)
        yield [queue.subscription, reasonOf(queue)];
    }
  }

  /**
   * Whether enough waits to keep the worker busy: as much as it gets done in a quarter of a second, and no less than an eighth
   * of its slots. Then fetching more would only take it from other workers. What waits for a slow subscriber or for its rate limit keeps
   * nobody busy, and counts only where it takes too much memory.
   */
  get isFull(): boolean {
    return this.isOverfull || this.#waiting - this.#waitingInVain > this.#enough();
  }

  /** Whether not even a batch that goes before all others should be fetched now, because what waits takes memory. */
  get isOverfull(): boolean {
    return this.#waiting > this.#enough() + MOST_BEYOND;
  }

  /** Waits until it is no longer full, or for so long. */
  async waitForCapacity(signal: AbortSignal, atMostMs: number): Promise<void> {
    if (!this.isFull || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#capacityWaiters.delete(look);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const look = () => {
        if (!this.isFull) done();
      };
      const timer = setTimeout(done, atMostMs);
      this.#capacityWaiters.add(look);
      signal.addEventListener("abort", done, { once: true });
    });
  }

  #enough(): number {
    const passedMs = performance.now() - this.#endedAt;
    return Math.max(this.size / 8, ENOUGH_S * this.#endedPerSecond * Math.exp(-passedMs / 1_000));
  }

  #countEnded(now: number): void {
    this.#endedPerSecond = 1 + this.#endedPerSecond * Math.exp((this.#endedAt - now) / 1_000);
    this.#endedAt = now;
  }

  #queueOf({ subscription, isProbe = false, tenant, maxInFlight, rateLimit }: SlotRequest): SubscriptionQueue {
    const key = isProbe ? `probe ${subscription}` : subscription;
    let queue = this.#queues.get(key);
    if (!queue) {
      queue = this.#recall(key) ?? {
        key,
        subscription,
        isProbe,
        tenant,
        maxInFlight,
        rateLimit,
        underWay: new Set(),
        window: this.#firstWindow,
        waiters: [],
        averageMs: 0,
        isStuck: false,
        tokensAt: 0,
        isAskingForTokens: false,
        timer: undefined,
        idleSince: 0,
      };
      this.#queues.set(key, queue);
    }
    // As they were just read: a change of the limits holds at once.
    queue.maxInFlight = maxInFlight;
    queue.rateLimit = rateLimit;
    return queue;
  }

  #mayStart(queue: SubscriptionQueue): boolean {
    const free = this.size - this.#inUse;
    return queue.underWay.size < Math.min(limitOf(queue), shareOf(queue, free));
  }

  #start(queue: SubscriptionQueue): SlotResult {
    const request = { startedAt: performance.now() };
    queue.underWay.add(request);
    this.#inUse += 1;
    return {
      kind: "granted",
      release: () => {
        queue.underWay.delete(request);
        this.#inUse -= 1;
        queue.window += 1;
        queue.isStuck = false;
        const now = performance.now();
        queue.averageMs += NEWEST * (now - request.startedAt - queue.averageMs);
        this.#countEnded(now);
        this.#align(queue);
        if (this.#waiting > 0) this.#serve();
        this.#setAsideIfIdle(queue);
      },
    };
  }

  /** Gives free slots to whoever is next, until nobody may start. */
  #serve(): void {
    for (let served = true; served && this.#inUse < this.size;) {
      served = false;
      for (const queue of this.#inTurn()) {
        if (!this.#mayStart(queue)) continue;
        if (queue.rateLimit !== null) {
          this.#askForTokens(queue);
          continue;
        }
        this.#startFirst(queue);
        served = true;
        break;
      }
    }
  }

  /** The queues in line: one of each tenant in turn, then the next of each. */
  *#inTurn(): Generator<SubscriptionQueue> {
    // Lazily: mostly the first one is served, and nobody asks for the others.
    let round: Iterable<SetIterator<SubscriptionQueue>> = this.#lines.values().map((queues) => queues.values());
    for (let left = 1; left > 0;) {
      const next: SetIterator<SubscriptionQueue>[] = [];
      for (const line of round) {
        const { value, done } = line.next();
        if (done) continue;
        yield value;
        next.push(line);
      }
      round = next;
      left = next.length;
    }
  }

  #startFirst(queue: SubscriptionQueue): void {
    this.#toTheEnd(queue);
    this.#leave(queue, queue.waiters[0]!, this.#start(queue));
  }

  /** Behind the other subscriptions of its tenant, and the tenant behind the other tenants. */
  #toTheEnd(queue: SubscriptionQueue): void {
    const line = this.#lines.get(queue.tenant);
    if (!line?.delete(queue)) return;
    line.add(queue);
    this.#lines.delete(queue.tenant);
    this.#lines.set(queue.tenant, line);
  }

  /** Asks the rate limit, at once or when it has something to give; one call and one timer per queue at a time. */
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
    this.#toTheEnd(queue);
    queue.isAskingForTokens = true;
    const mayHave = Math.min(limitOf(queue), Math.ceil((this.size - this.#inUse + queue.underWay.size) / 2));
    const wanted = Math.max(1, Math.min(BURST, queue.waiters.length, mayHave - queue.underWay.size));
    // Taken before the answer: tokens that come when the slots are gone would be lost to the whole fleet.
    this.#inUse += wanted;
    void this.#takeTokens(queue.subscription, queue.rateLimit!, wanted).then(({ granted, retryInMs }) => {
      this.#inUse -= wanted;
      queue.isAskingForTokens = false;
      queue.tokensAt = performance.now() + retryInMs;
      // Used at once or lost: tokens that were kept would be sent as a burst beyond the limit.
      for (let left = granted; left > 0 && queue.waiters.length > 0; left -= 1) this.#startFirst(queue);
      this.#setAsideIfIdle(queue);
      this.#serve();
    });
  }

  #leave(queue: SubscriptionQueue, waiter: Waiter, turn: SlotResult): void {
    const index = queue.waiters.indexOf(waiter);
    if (index < 0) return;
    queue.waiters.splice(index, 1);
    this.#stopListeningFor(waiter);
    this.#waiting -= 1;
    this.#align(queue);
    if (this.#waiting === 0) {
      clearInterval(this.#sweeping);
      this.#sweeping = undefined;
      this.#waitingInVain = 0;
    }
    this.#setAsideIfIdle(queue);
    for (const tell of this.#capacityWaiters) tell();
    waiter.resolve(turn);
  }

  #listenFor(waiter: Waiter): void {
    const { signal } = waiter.request;
    let those = this.#bySignal.get(signal);
    if (!those) {
      const waiters = new Set<Waiter>();
      const onAbort = () => {
        for (const one of waiters) this.#leave(one.queue, one, { kind: "aborted" });
      };
      those = { waiters, onAbort };
      this.#bySignal.set(signal, those);
      signal.addEventListener("abort", onAbort, { once: true });
    }
    those.waiters.add(waiter);
  }

  #stopListeningFor(waiter: Waiter): void {
    const { signal } = waiter.request;
    const those = this.#bySignal.get(signal)!;
    those.waiters.delete(waiter);
    if (those.waiters.size > 0) return;
    this.#bySignal.delete(signal);
    signal.removeEventListener("abort", those.onAbort);
  }

  /** @param place 1 is the next of its subscription to be served */
  #expectedWaitMs(queue: SubscriptionQueue, place: number): number {
    if (queue.isStuck) return Number.POSITIVE_INFINITY;
    const byRate = queue.rateLimit === null ? 0 : ((place - 1) * 1_000) / queue.rateLimit;
    if (queue.underWay.size === 0) return byRate;
    return Math.max(
      byRate,
      (place * this.#requestMs(queue, performance.now())) / Math.min(queue.maxInFlight, this.#mostOf(queue)),
    );
  }

  /** How long its requests take, as far as can be said. */
  #requestMs(queue: SubscriptionQueue, now: number): number {
    const middle = queue.underWay
      .values()
      .drop(queue.underWay.size >> 1)
      .next().value;
    // Of one that has begun to hang the requests under way say more than those that ended; a single slow one says nothing.
    return middle ? Math.max(queue.averageMs, now - middle.startedAt) : queue.averageMs;
  }

  /** How many it has under way where nobody else has any. */
  #mostOf(queue: SubscriptionQueue): number {
    return Math.max(1, Math.floor(isSlow(queue) ? (this.size * SLOW.part) / (1 + SLOW.part) : this.size / 2));
  }

  /** Lets go of those whose subscription has kept them waiting for a second. */
  #sweep(): void {
    const now = performance.now();
    this.#waitingInVain = 0;
    for (const queue of Array.from(this.#queues.values())) {
      if (queue.waiters.length === 0 || !isBlocked(queue, this.size - this.#inUse, now)) continue;
      if (queue.rateLimit !== null || this.#requestMs(queue, now) >= SLOW.ms)
        this.#waitingInVain += queue.waiters.length;
      const overdue = queue.waiters.filter(({ since }) => now - since > MAX_WAIT_MS);
      for (const waiter of overdue) this.#leave(queue, waiter, { kind: "rejected", reason: reasonOf(queue) });
      queue.isStuck ||= overdue.length > 0 && queue.underWay.size > 0;
    }
  }

  /** In line is who has waiters and is below its own limits; all others need not be looked at when a slot is free. */
  #align(queue: SubscriptionQueue): void {
    const line = this.#lines.get(queue.tenant);
    if (queue.waiters.length > 0 && queue.underWay.size < limitOf(queue)) {
      if (line) line.add(queue);
      else this.#lines.set(queue.tenant, new Set([queue]));
    } else if (line?.delete(queue) && line.size === 0) {
      this.#lines.delete(queue.tenant);
    }
  }

  #setAsideIfIdle(queue: SubscriptionQueue): void {
    if (queue.underWay.size > 0 || queue.waiters.length > 0 || queue.isAskingForTokens) return;
    this.#queues.delete(queue.key);
    const now = performance.now();
    queue.idleSince = now;
    this.#idle.set(queue.key, queue);
    for (const [key, { idleSince }] of this.#idle) {
      if (now - idleSince < REMEMBER_MS) return;
      this.#idle.delete(key);
    }
  }

  #recall(key: string): SubscriptionQueue | undefined {
    const queue = this.#idle.get(key);
    this.#idle.delete(key);
    return queue && performance.now() - queue.idleSince < REMEMBER_MS ? queue : undefined;
  }
}

/** How many requests a subscription may have under way by its own limits. */
const limitOf = ({ maxInFlight, window }: SubscriptionQueue): number => Math.min(maxInFlight, window);

const isSlow = ({ averageMs }: SubscriptionQueue): boolean => averageMs >= SLOW.ms;

/** How many requests a subscription may have under way for the others' sake. @param free slots */
const shareOf = (queue: SubscriptionQueue, free: number): number =>
  isSlow(queue) && free > 0 ? Math.max(1, Math.floor(free * SLOW.part)) : free;

/** Whether its own requests or its own rate limit keep its waiters waiting, and not that all slots are taken. */
const isBlocked = (queue: SubscriptionQueue, free: number, now: number): boolean =>
  queue.underWay.size >= limitOf(queue) ||
  (free > 0 && queue.underWay.size >= shareOf(queue, free)) ||
  queue.isAskingForTokens ||
  queue.tokensAt > now;

const reasonOf = ({ rateLimit, underWay, maxInFlight }: SubscriptionQueue): LimitName =>
  rateLimit !== null && underWay.size < maxInFlight ? "rate_limit" : "max_in_flight";

/** Deliveries mostly come in order of age, so the search begins at the end. */
function placeOf({ waiters }: SubscriptionQueue, order: string): number {
  let place = waiters.length;
  while (place > 0 && waiters[place - 1]!.request.order > order) place -= 1;
  return place;
}
