import { afterAnswer, afterTimeout, FIRST_WINDOW, type TrialWindow } from "@postrider/shared/core/trial-window.ts";
import type { SlotRequest, SlotResult, LimitName } from "./slot-pool.ts";

/** A request that waits for a slot. */
export interface Waiter {
  request: SlotRequest;
  queue: SubscriptionQueue;
  since: number;
  resolve: (result: SlotResult) => void;
}

/** How a subscription's receiver has answered lately. All but the proven ones share half of the slots. */
export type Standing = "proven" | "slow" | "trial";

/** A request under way. */
export interface Running {
  startedAt: number;
  bytes: number;
}

/** What a subscription or a tenant uses of the worker. */
export interface Usage {
  slots: number;
  /** Of these, the slots of subscriptions that are not proven. */
  unproven: number;
  /** Of the bodies under way, where it is not slow: signing and writing them takes the first moments of a request. */
  bytes: number;
}

export const NOTHING: Usage = { slots: 0, unproven: 0, bytes: 0 };

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
  /** What its row says; a success of this process counts as well. */
  isProven: boolean;
  succeededAt: number;
  /** As judged last: see `judge`. */
  standing: Standing;
  /** What the shares have counted, and whether it had not answered lately then. */
  counted: Usage & { isSilent: boolean };
  /** Its requests under way, the oldest first. */
  readonly underWay: Set<Running>;
  /** Of the bodies under way. */
  bytes: number;
  /** Slots reserved for the tokens that it asks for. */
  reserved: number;
  /** Oldest delivery first. */
  readonly waiters: Waiter[];
  /** Whether the last served waiter was a released one: released and fresh ones alternate. */
  servedReleased: boolean;
  /** Bounds its requests under way while it is not proven. */
  window: TrialWindow;
  /** How long its last requests took, in milliseconds; at most `MEAN_OF` of them. */
  readonly tookMs: number[];
  /** When it last answered a request of this process. */
  answeredAt: number;
  /** Whether its last request timed out. */
  timedOut: boolean;
  /** The limit that rejected a waiter after its full wait, if no request has completed since. */
  stuckBecause: LimitName | undefined;
  /** Its rate limit has no token before this moment. */
  tokensAt: number;
  isAskingForTokens: boolean;
  /** Runs until `tokensAt` while a waiter needs a token. */
  timer: NodeJS.Timeout | undefined;
  idleSince: number;
}

/** A subscription whose last answers took longer than this on average, or one of whose requests does, is slow. */
export const SLOW_MS = 1_000;
const MEAN_OF = 20;
/** How long an idle subscription is remembered: the longest pause of the default schedule, and some time. */
const REMEMBER_MS = 60_000;
/** Idle subscriptions in memory; each takes about 1 kB. */
const MAX_REMEMBERED = 10_000;

/** The queue's place for a delivery. Deliveries mostly come in order of age, so the search begins at the end. */
export function placeOf({ waiters }: SubscriptionQueue, order: string): number {
  let place = waiters.length;
  while (place > 0 && waiters[place - 1]!.request.order > order) place -= 1;
  return place;
}

/** The next waiter to serve. Released and fresh ones alternate, so that neither kind starves. */
export function nextWaiter({ waiters, servedReleased }: SubscriptionQueue): Waiter {
  return waiters.find(({ request }) => request.canBeHeld === servedReleased) ?? waiters[0]!;
}

/** The place among the subscription's waiters in the order of service, where released and fresh ones alternate. */
export function turnOf({ waiters }: SubscriptionQueue, place: number, canBeHeld: boolean): number {
  let sameKind = 0;
  for (let index = 0; index < place; index += 1) if (waiters[index]!.request.canBeHeld === canBeHeld) sameKind += 1;
  return Math.min(place, 2 * sameKind) + 1;
}

export function judge(queue: SubscriptionQueue, now: number): Standing {
  const [oldest] = queue.underWay;
  if ((oldest && now - oldest.startedAt > SLOW_MS) || meanMs(queue) > SLOW_MS) return "slow";
  return queue.isProven || now - queue.succeededAt < REMEMBER_MS ? "proven" : "trial";
}

/** Whether a request needs no token of its subscription's pace, which stays as it is for the others. */
export const skipsPace = ({ rateLimitName }: SubscriptionQueue, { isManual }: SlotRequest): boolean =>
  isManual && rateLimitName === "pace";

export const meanMs = ({ tookMs }: SubscriptionQueue): number =>
  tookMs.length === 0 ? 0 : tookMs.reduce((sum, ms) => sum + ms, 0) / tookMs.length;

export function begin(queue: SubscriptionQueue, request: Running): void {
  queue.underWay.add(request);
  queue.bytes += request.bytes;
}

/** How a request ended, as in `SlotResult`. */
export interface Answer {
  status: number | null | undefined;
  tookMs: number | undefined;
}

/** Notes that a request of the queue is over. */
export function complete(
  queue: SubscriptionQueue,
  request: Running,
  { status, tookMs = performance.now() - request.startedAt }: Answer,
  now: number,
): void {
  queue.underWay.delete(request);
  queue.bytes -= request.bytes;
  queue.stuckBecause = undefined;
  if (status === undefined) return;
  if (queue.tookMs.push(tookMs) > MEAN_OF) queue.tookMs.shift();
  if (status === null) {
    // A connection that is refused at once says nothing about the number of requests.
    if (tookMs < SLOW_MS) return;
    queue.timedOut = true;
    queue.window = afterTimeout(queue.window, request.startedAt, now);
    return;
  }
  queue.timedOut = false;
  const isSuccess = status >= 200 && status <= 299;
  queue.answeredAt = now;
  queue.window = afterAnswer(queue.window, { tookMs, isSuccess }, queue.maxInFlight, now);
  if (isSuccess) queue.succeededAt = now;
}

/** The queues of all subscriptions with requests, and for a while those of idle ones. */
export class SubscriptionQueues {
  readonly #busy = new Map<string, SubscriptionQueue>();
  /** Queues with nothing under way and no waiters, longest idle first. */
  readonly #idle = new Map<string, SubscriptionQueue>();

  /** The queues with requests under way or waiting. */
  busy(): Iterable<SubscriptionQueue> {
    return this.#busy.values();
  }

  get isIdle(): boolean {
    return this.#busy.size === 0;
  }

  /** The queue that a request belongs to. */
  of(request: SlotRequest): SubscriptionQueue {
    const key = request.isProbe ? `probe ${request.subscription}` : request.subscription;
    let queue = this.#busy.get(key);
    if (!queue) {
      queue = this.#recall(key) ?? create(key, request);
      this.#busy.set(key, queue);
    }
    // The request carries the limits as they were just read: a change applies at once.
    queue.maxInFlight = request.maxInFlight;
    queue.isProven = request.isProven;
    if (skipsPace(queue, request)) return queue;
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
      if (now - idleSince < REMEMBER_MS && this.#idle.size <= MAX_REMEMBERED) return;
      this.#idle.delete(key);
    }
  }

  #recall(key: string): SubscriptionQueue | undefined {
    const queue = this.#idle.get(key);
    this.#idle.delete(key);
    return queue && performance.now() - queue.idleSince < REMEMBER_MS ? queue : undefined;
  }
}

function create(key: string, request: SlotRequest): SubscriptionQueue {
  const { subscription, isProbe, tenant, maxInFlight, rate, rateLimitName, isProven } = request;
  return {
    key,
    subscription,
    isProbe,
    tenant,
    maxInFlight,
    rate,
    rateLimitName,
    isProven,
    succeededAt: Number.NEGATIVE_INFINITY,
    standing: isProven ? "proven" : "trial",
    counted: { ...NOTHING, isSilent: true },
    underWay: new Set(),
    bytes: 0,
    reserved: 0,
    waiters: [],
    servedReleased: false,
    window: FIRST_WINDOW,
    tookMs: [],
    answeredAt: Number.NEGATIVE_INFINITY,
    timedOut: false,
    stuckBecause: undefined,
    tokensAt: 0,
    isAskingForTokens: false,
    timer: undefined,
    idleSince: 0,
  };
}
