import { BURST, type TakeTokens } from "./rate-limit.ts";

/** What a delivery must know to stand in line. */
export interface Want {
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
  onHeldUp: () => void;
}

export type Turn =
  /** `done()` must be called once, when the request is over. */
  | { kind: "granted"; done: () => void }
  /** Its subscription keeps it waiting for too long. */
  | { kind: "over"; reason: OverReason }
  | { kind: "aborted" };

type OverReason = "rate_limit" | "max_in_flight";

/** What the lanes use of the slots. */
export type SlotTaker = Pick<Slots, keyof Slots>;

/** A subscription's requests in this process: those under way and those that wait. */
interface Gate {
  /** The subscription, or its probe, which has a gate of its own. */
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
  want: Want;
  gate: Gate;
  since: number;
  resolve: (turn: Turn) => void;
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
  readonly #gates = new Map<string, Gate>();
  /** Those with nothing under way and no waiters, longest idle first. */
  readonly #idle = new Map<string, Gate>();
  /** Gates that wait for the others and not for themselves, by tenant; whoever was served last is at the end of both. */
  readonly #lines = new Map<string, Set<Gate>>();
  /** Who leaves when a signal aborts: one listener for all, because a batch's deliveries have one signal. */
  readonly #bySignal = new Map<AbortSignal, { waiters: Set<Waiter>; onAbort: () => void }>();
  readonly #roomWaiters = new Set<() => void>();
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

  take(want: Want): Promise<Turn> {
    if (want.signal.aborted) return Promise.resolve({ kind: "aborted" });
    const gate = this.#gateOf(want);
    if (gate.waiters.length === 0 && gate.rateLimit === null && this.#mayStart(gate)) {
      return Promise.resolve(this.#start(gate));
    }
    const place = placeOf(gate, want.order);
    if (this.#expectedWaitMs(gate, place + 1) > MAX_WAIT_MS) {
      this.#setAsideIfIdle(gate);
      return Promise.resolve({ kind: "over", reason: reasonOf(gate) });
    }
    return new Promise((resolve) => {
      const waiter: Waiter = { want, gate, since: performance.now(), resolve };
      this.#listenFor(waiter);
      gate.waiters.splice(place, 0, waiter);
      this.#waiting += 1;
      this.#align(gate);
      this.#sweeping ??= setInterval(() => this.#sweep(), SWEEP_MS);
      if (gate.rateLimit !== null) this.#serve();
      if (isHeldUp(gate, this.size - this.#inUse, performance.now())) want.onHeldUp();
    });
  }

  /** Those for which one more would not even begin to wait, and why. A probe under way says nothing: its subscription is shut. */
  *heldUpSubscriptions(): Generator<[subscription: string, reason: OverReason]> {
    for (const gate of this.#gates.values()) {
      if (gate.isProbe) continue;
      if (this.#expectedWaitMs(gate, gate.waiters.length + 1) > MAX_WAIT_MS) yield [gate.subscription, reasonOf(gate)];
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
  async room(signal: AbortSignal, atMostMs: number): Promise<void> {
    if (!this.isFull || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#roomWaiters.delete(look);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const look = () => {
        if (!this.isFull) done();
      };
      const timer = setTimeout(done, atMostMs);
      this.#roomWaiters.add(look);
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

  #gateOf({ subscription, isProbe = false, tenant, maxInFlight, rateLimit }: Want): Gate {
    const key = isProbe ? `probe ${subscription}` : subscription;
    let gate = this.#gates.get(key);
    if (!gate) {
      gate = this.#recall(key) ?? {
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
      this.#gates.set(key, gate);
    }
    // As they were just read: a change of the limits holds at once.
    gate.maxInFlight = maxInFlight;
    gate.rateLimit = rateLimit;
    return gate;
  }

  #mayStart(gate: Gate): boolean {
    const free = this.size - this.#inUse;
    return gate.underWay.size < Math.min(limitOf(gate), shareOf(gate, free));
  }

  #start(gate: Gate): Turn {
    const request = { startedAt: performance.now() };
    gate.underWay.add(request);
    this.#inUse += 1;
    return {
      kind: "granted",
      done: () => {
        gate.underWay.delete(request);
        this.#inUse -= 1;
        gate.window += 1;
        gate.isStuck = false;
        const now = performance.now();
        gate.averageMs += NEWEST * (now - request.startedAt - gate.averageMs);
        this.#countEnded(now);
        this.#align(gate);
        if (this.#waiting > 0) this.#serve();
        this.#setAsideIfIdle(gate);
      },
    };
  }

  /** Gives free slots to whoever is next, until nobody may start. */
  #serve(): void {
    for (let served = true; served && this.#inUse < this.size;) {
      served = false;
      for (const gate of this.#inTurn()) {
        if (!this.#mayStart(gate)) continue;
        if (gate.rateLimit !== null) {
          this.#askForTokens(gate);
          continue;
        }
        this.#startFirst(gate);
        served = true;
        break;
      }
    }
  }

  /** The gates in line: one of each tenant in turn, then the next of each. */
  *#inTurn(): Generator<Gate> {
    // Lazily: mostly the first one is served, and nobody asks for the others.
    let round: Iterable<SetIterator<Gate>> = this.#lines.values().map((gates) => gates.values());
    for (let left = 1; left > 0;) {
      const next: SetIterator<Gate>[] = [];
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

  #startFirst(gate: Gate): void {
    this.#toTheEnd(gate);
    this.#leave(gate, gate.waiters[0]!, this.#start(gate));
  }

  /** Behind the other subscriptions of its tenant, and the tenant behind the other tenants. */
  #toTheEnd(gate: Gate): void {
    const line = this.#lines.get(gate.tenant);
    if (!line?.delete(gate)) return;
    line.add(gate);
    this.#lines.delete(gate.tenant);
    this.#lines.set(gate.tenant, line);
  }

  /** Asks the rate limit, at once or when it has something to give; one call and one timer per gate at a time. */
  #askForTokens(gate: Gate): void {
    if (gate.isAskingForTokens) return;
    const waitMs = gate.tokensAt - performance.now();
    if (waitMs > 0) {
      gate.timer ??= setTimeout(() => {
        gate.timer = undefined;
        this.#serve();
      }, Math.ceil(waitMs));
      return;
    }
    this.#toTheEnd(gate);
    gate.isAskingForTokens = true;
    const mayHave = Math.min(limitOf(gate), Math.ceil((this.size - this.#inUse + gate.underWay.size) / 2));
    const wanted = Math.max(1, Math.min(BURST, gate.waiters.length, mayHave - gate.underWay.size));
    // Taken before the answer: tokens that come when the slots are gone would be lost to the whole fleet.
    this.#inUse += wanted;
    void this.#takeTokens(gate.subscription, gate.rateLimit!, wanted).then(({ granted, retryInMs }) => {
      this.#inUse -= wanted;
      gate.isAskingForTokens = false;
      gate.tokensAt = performance.now() + retryInMs;
      // Used at once or lost: tokens that were kept would be sent as a burst beyond the limit.
      for (let left = granted; left > 0 && gate.waiters.length > 0; left -= 1) this.#startFirst(gate);
      this.#setAsideIfIdle(gate);
      this.#serve();
    });
  }

  #leave(gate: Gate, waiter: Waiter, turn: Turn): void {
    const index = gate.waiters.indexOf(waiter);
    if (index < 0) return;
    gate.waiters.splice(index, 1);
    this.#stopListeningFor(waiter);
    this.#waiting -= 1;
    this.#align(gate);
    if (this.#waiting === 0) {
      clearInterval(this.#sweeping);
      this.#sweeping = undefined;
      this.#waitingInVain = 0;
    }
    this.#setAsideIfIdle(gate);
    for (const tell of this.#roomWaiters) tell();
    waiter.resolve(turn);
  }

  #listenFor(waiter: Waiter): void {
    const { signal } = waiter.want;
    let those = this.#bySignal.get(signal);
    if (!those) {
      const waiters = new Set<Waiter>();
      const onAbort = () => {
        for (const one of waiters) this.#leave(one.gate, one, { kind: "aborted" });
      };
      those = { waiters, onAbort };
      this.#bySignal.set(signal, those);
      signal.addEventListener("abort", onAbort, { once: true });
    }
    those.waiters.add(waiter);
  }

  #stopListeningFor(waiter: Waiter): void {
    const { signal } = waiter.want;
    const those = this.#bySignal.get(signal)!;
    those.waiters.delete(waiter);
    if (those.waiters.size > 0) return;
    this.#bySignal.delete(signal);
    signal.removeEventListener("abort", those.onAbort);
  }

  /** @param place 1 is the next of its subscription to be served */
  #expectedWaitMs(gate: Gate, place: number): number {
    if (gate.isStuck) return Number.POSITIVE_INFINITY;
    const byRate = gate.rateLimit === null ? 0 : ((place - 1) * 1_000) / gate.rateLimit;
    if (gate.underWay.size === 0) return byRate;
    return Math.max(
      byRate,
      (place * this.#requestMs(gate, performance.now())) / Math.min(gate.maxInFlight, this.#mostOf(gate)),
    );
  }

  /** How long its requests take, as far as can be said. */
  #requestMs(gate: Gate, now: number): number {
    const middle = gate.underWay
      .values()
      .drop(gate.underWay.size >> 1)
      .next().value;
    // Of one that has begun to hang the requests under way say more than those that ended; a single slow one says nothing.
    return middle ? Math.max(gate.averageMs, now - middle.startedAt) : gate.averageMs;
  }

  /** How many it has under way where nobody else has any. */
  #mostOf(gate: Gate): number {
    return Math.max(1, Math.floor(isSlow(gate) ? (this.size * SLOW.part) / (1 + SLOW.part) : this.size / 2));
  }

  /** Lets go of those whose subscription has kept them waiting for a second. */
  #sweep(): void {
    const now = performance.now();
    this.#waitingInVain = 0;
    for (const gate of Array.from(this.#gates.values())) {
      if (gate.waiters.length === 0 || !isHeldUp(gate, this.size - this.#inUse, now)) continue;
      if (gate.rateLimit !== null || this.#requestMs(gate, now) >= SLOW.ms) this.#waitingInVain += gate.waiters.length;
      const overdue = gate.waiters.filter(({ since }) => now - since > MAX_WAIT_MS);
      for (const waiter of overdue) this.#leave(gate, waiter, { kind: "over", reason: reasonOf(gate) });
      gate.isStuck ||= overdue.length > 0 && gate.underWay.size > 0;
    }
  }

  /** In line is who has waiters and is below its own limits; all others need not be looked at when a slot is free. */
  #align(gate: Gate): void {
    const line = this.#lines.get(gate.tenant);
    if (gate.waiters.length > 0 && gate.underWay.size < limitOf(gate)) {
      if (line) line.add(gate);
      else this.#lines.set(gate.tenant, new Set([gate]));
    } else if (line?.delete(gate) && line.size === 0) {
      this.#lines.delete(gate.tenant);
    }
  }

  #setAsideIfIdle(gate: Gate): void {
    if (gate.underWay.size > 0 || gate.waiters.length > 0 || gate.isAskingForTokens) return;
    this.#gates.delete(gate.key);
    const now = performance.now();
    gate.idleSince = now;
    this.#idle.set(gate.key, gate);
    for (const [key, { idleSince }] of this.#idle) {
      if (now - idleSince < REMEMBER_MS) return;
      this.#idle.delete(key);
    }
  }

  #recall(key: string): Gate | undefined {
    const gate = this.#idle.get(key);
    this.#idle.delete(key);
    return gate && performance.now() - gate.idleSince < REMEMBER_MS ? gate : undefined;
  }
}

/** How many requests a subscription may have under way by its own limits. */
const limitOf = ({ maxInFlight, window }: Gate): number => Math.min(maxInFlight, window);

const isSlow = ({ averageMs }: Gate): boolean => averageMs >= SLOW.ms;

/** How many requests a subscription may have under way for the others' sake. @param free slots */
const shareOf = (gate: Gate, free: number): number =>
  isSlow(gate) && free > 0 ? Math.max(1, Math.floor(free * SLOW.part)) : free;

/** Whether its own requests or its own rate limit keep its waiters waiting, and not that all slots are taken. */
const isHeldUp = (gate: Gate, free: number, now: number): boolean =>
  gate.underWay.size >= limitOf(gate) ||
  (free > 0 && gate.underWay.size >= shareOf(gate, free)) ||
  gate.isAskingForTokens ||
  gate.tokensAt > now;

const reasonOf = ({ rateLimit, underWay, maxInFlight }: Gate): OverReason =>
  rateLimit !== null && underWay.size < maxInFlight ? "rate_limit" : "max_in_flight";

/** Deliveries mostly come in order of age, so the search begins at the end. */
function placeOf({ waiters }: Gate, order: string): number {
  let place = waiters.length;
  while (place > 0 && waiters[place - 1]!.want.order > order) place -= 1;
  return place;
}
