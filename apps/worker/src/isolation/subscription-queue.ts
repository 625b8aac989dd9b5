import type { SlotRequest, SlotResult } from "./slot-pool.ts";

/** A request that waits for a slot. */
export interface Waiter {
  request: SlotRequest;
  queue: SubscriptionQueue;
  since: number;
  resolve: (result: SlotResult) => void;
}

/** A subscription's requests in this process, both under way and waiting. */
export interface SubscriptionQueue {
  /** The subscription, or its probe, which has a queue of its own. */
  readonly key: string;
  readonly subscription: string;
  readonly isProbe: boolean;
  readonly tenant: string;
  maxInFlight: number;
  rate: number | null;
  rateLimitName: "rate_limit" | "pace";
  /** When each request under way began, the oldest first. */
  readonly underWay: Set<{ startedAt: number }>;
  /** In the order in which they are served. */
  readonly waiters: Waiter[];
  /** How many requests it may have under way now: few at first, and one more with every request that completes. */
  window: number;
  /** How long its requests take, in milliseconds: a moving average. */
  averageMs: number;
  /** A waiter was rejected after its full wait, and no request has completed since. */
  isStuck: boolean;
  /** Its rate limit has no token before this moment. */
  tokensAt: number;
  isAskingForTokens: boolean;
  /** Runs until `tokensAt`, where a waiter needs a token. */
  timer: NodeJS.Timeout | undefined;
  idleSince: number;
}

/** How long an idle subscription's window and average are remembered. */
const REMEMBER_MS = 5_000;
/** Weight of the newest request in the moving average. */
const NEWEST_WEIGHT = 0.2;

/** An id above every other. */
const NEWEST = "~";

/**
 * The queue's place for a request. Released and fresh deliveries take turns, so that neither starves, and the oldest of
 * each kind is first.
 */
export function placeOf(
  { waiters }: SubscriptionQueue,
  { canBeHeld, order }: Pick<SlotRequest, "canBeHeld" | "order">,
): number {
  const ofItsKind = waiters.filter(({ request }) => request.canBeHeld === canBeHeld);
  const next = ofItsKind.find(({ request }) => request.order > order);
  if (next) return waiters.indexOf(next);
  const isKindFirst = waiters[0]?.request.canBeHeld === canBeHeld;
  return Math.min(waiters.length, 2 * ofItsKind.length + (isKindFirst ? 0 : 1));
}

/** The place for the next fresh delivery. */
export const nextPlace = (queue: SubscriptionQueue): number => placeOf(queue, { canBeHeld: true, order: NEWEST });

/** Notes that a request of the queue is over. */
export function complete(queue: SubscriptionQueue, request: { startedAt: number }, now: number): void {
  queue.underWay.delete(request);
  queue.window += 1;
  queue.isStuck = false;
  queue.averageMs += NEWEST_WEIGHT * (now - request.startedAt - queue.averageMs);
}

/** The queues of all subscriptions with requests, and for a while those of idle ones. */
export class SubscriptionQueues {
  readonly #initialWindow: number;
  readonly #busy = new Map<string, SubscriptionQueue>();
  /** Queues with nothing under way and no waiters, longest idle first. */
  readonly #idle = new Map<string, SubscriptionQueue>();

  constructor(initialWindow: number) {
    this.#initialWindow = initialWindow;
  }

  /** The queues with requests under way or waiting. */
  busy(): Iterable<SubscriptionQueue> {
    return this.#busy.values();
  }

  /** The queue that a request belongs to. */
  of(request: SlotRequest): SubscriptionQueue {
    const key = request.isProbe ? `probe ${request.subscription}` : request.subscription;
    let queue = this.#busy.get(key);
    if (!queue) {
      queue = this.#recall(key) ?? this.#create(key, request);
      this.#busy.set(key, queue);
    }
    // The request carries the limits as they were just read: a change applies at once.
    queue.maxInFlight = request.maxInFlight;
    queue.rate = request.rate;
    queue.rateLimitName = request.rateLimitName;
    return queue;
  }

  hasWaiters(subscription: string): boolean {
    return (this.#busy.get(subscription)?.waiters.length ?? 0) > 0;
  }

  setAsideIfIdle(queue: SubscriptionQueue): void {
    if (queue.underWay.size > 0 || queue.waiters.length > 0 || queue.isAskingForTokens) return;
    this.#busy.delete(queue.key);
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

  #create(key: string, request: SlotRequest): SubscriptionQueue {
    const { subscription, isProbe = false, tenant, maxInFlight, rate, rateLimitName } = request;
    return {
      key,
      subscription,
      isProbe,
      tenant,
      maxInFlight,
      rate,
      rateLimitName,
      underWay: new Set(),
      waiters: [],
      window: this.#initialWindow,
      averageMs: 0,
      isStuck: false,
      tokensAt: 0,
      isAskingForTokens: false,
      timer: undefined,
      idleSince: 0,
    };
  }
}
