import { decide, decideProbe } from "@postrider/shared/core/delivery/decision.ts";
import { classify } from "@postrider/shared/core/delivery/outcome.ts";
import { DEFAULT_RETRY_SCHEDULE } from "@postrider/shared/core/delivery/retry-schedule.ts";
import { afterAnswer, afterTimeout, FIRST_WINDOW } from "@postrider/shared/core/trial-window.ts";
import type { Delivery, Fleet } from "./fleet.ts";
import type { Exchange } from "./receivers.ts";

export const MAX_IN_FLIGHT = 32;
/** As in the worker: how often it learns which subscriptions are watched, and how long it coalesces successes. */
const LEARN_MS = 1_000;
const COALESCE_MS = 100;
/** As in the worker's slots: a delivery that its subscription's own limit has blocked for this long becomes held. */
const MAX_WAIT_MS = 1_000;

/** One worker process's part of the subscription: its slots, its queue, and its reports of outcomes. */
export class Worker {
  readonly #fleet: Fleet;
  readonly #retry: (delivery: Delivery) => void;
  /** Waiting for a slot or a token. Released deliveries wait without a limit. */
  readonly #fresh: { delivery: Delivery; since: number }[] = [];
  readonly #released: Delivery[] = [];
  #isReleasedNext = false;
  #inFlight = 0;
  /** Bounds the requests in flight, as of a subscription that is not proven. */
  #window = FIRST_WINDOW;
  #isWatching = false;
  #lastSuccessAt: number | undefined;
  #successes = 0;
  #lastSentAt = 0;
  #hasTimer = false;

  /** @param retry schedules a delivery that is due at the current time at any worker */
  constructor(fleet: Fleet, retry: (delivery: Delivery) => void) {
    this.#fleet = fleet;
    this.#retry = retry;
    // Workers start at different times, so they learn at different times.
    fleet.clock.after(fleet.random() * LEARN_MS, () => this.#learn());
  }

  /** A delivery is due. */
  admit(delivery: Delivery): void {
    const { clock, health, isClosed } = this.#fleet;
    if (this.#isWatching && (!isClosed || health.breaker.restUntil > clock.now)) return this.#fleet.hold(delivery);
    if (delivery.isReleased) this.#released.push(delivery);
    else this.#fresh.push({ delivery, since: clock.now });
    this.#serve();
    if (this.#fresh.length > 0) clock.after(MAX_WAIT_MS, () => this.#expire());
  }

  probe(delivery: Delivery): void {
    this.#send(delivery, true);
  }

  #learn(): void {
    const { clock, isWatched } = this.#fleet;
    const agoMs = clock.now - (this.#lastSuccessAt ?? Number.NEGATIVE_INFINITY);
    // It succeeded when the worker did not know yet that this matters.
    if (isWatched && !this.#isWatching && agoMs < LEARN_MS) {
      this.#fleet.apply({ kind: "success", sentAgoMs: agoMs, agoMs, successes: 0, isWaiting: false });
    }
    this.#isWatching = isWatched;
    clock.after(LEARN_MS, () => this.#learn());
  }

  #expire(): void {
    const { now } = this.#fleet.clock;
    while (this.#fresh[0] && now - this.#fresh[0].since >= MAX_WAIT_MS) this.#fleet.hold(this.#fresh.shift()!.delivery);
  }

  get #hasWaiters(): boolean {
    return this.#fresh.length > 0 || this.#released.length > 0;
  }

  #serve(): void {
    while (this.#hasWaiters && this.#inFlight < Math.floor(this.#window.size)) {
      if (this.#isWatching && !this.#fleet.isClosed) return this.#holdAll();
      const { pace } = this.#fleet;
      if (pace !== null && this.#isWatching && !this.#takeToken(pace)) return;
      this.#send(this.#next(), false);
    }
  }

  #holdAll(): void {
    for (const { delivery } of this.#fresh.splice(0)) this.#fleet.hold(delivery);
    for (const delivery of this.#released.splice(0)) this.#fleet.hold(delivery);
  }

  #takeToken(pace: number): boolean {
    const dueAt = this.#fleet.takeToken(pace);
    if (dueAt === undefined) return true;
    if (this.#hasTimer) return false;
    this.#hasTimer = true;
    this.#fleet.clock.at(Math.max(dueAt, this.#fleet.clock.now + 1), () => {
      this.#hasTimer = false;
      this.#serve();
    });
    return false;
  }

  /** Released and fresh deliveries take turns. */
  #next(): Delivery {
    const isReleased = this.#released.length > 0 && (this.#isReleasedNext || this.#fresh.length === 0);
    this.#isReleasedNext = !isReleased;
    return isReleased ? this.#released.shift()! : this.#fresh.shift()!.delivery;
  }

  #send(delivery: Delivery, isProbe: boolean): void {
    const { clock, receiver, random, figures } = this.#fleet;
    const sentAt = clock.now;
    figures.requests.push(sentAt);
    this.#inFlight += 1;
    const { exchange, afterMs } = receiver.answer(sentAt, random);
    clock.after(afterMs, () => this.#conclude(delivery, isProbe, exchange, sentAt));
  }

  #conclude(delivery: Delivery, isProbe: boolean, exchange: Exchange, sentAt: number): void {
    const { clock, receiver, random, figures } = this.#fleet;
    receiver.ended();
    this.#inFlight -= 1;
    const outcome = classify(exchange, clock.now);
    const isSuccess = outcome.kind === "delivered";
    this.#window =
      exchange.responseStatus === null
        ? afterTimeout(this.#window, sentAt, clock.now)
        : afterAnswer(this.#window, { tookMs: clock.now - sentAt, isSuccess }, MAX_IN_FLIGHT, clock.now);
    if (delivery.isReleased) this.#fleet.concludeReleased(isSuccess);
    delivery.isReleased = false;
    this.#fleet.record(isSuccess);
    const next = isProbe ? decideProbe(outcome) : decide(outcome, delivery.step, DEFAULT_RETRY_SCHEDULE, random());
    if (isSuccess) this.#reportSuccess(sentAt, isProbe);
    else this.#reportFailure(sentAt, isProbe);
    if (!isProbe) delivery.step += 1;
    if (next.state === "delivered") {
      figures.delivered += 1;
      figures.latencies.push(clock.now - delivery.createdAt);
    }
    if (next.state === "dead") figures.dead += 1;
    if (next.state === "held") this.#fleet.hold(delivery);
    if (next.state === "retrying") clock.after(next.delayMs, () => this.#retry(delivery));
    this.#serve();
  }

  #reportSuccess(sentAt: number, isProbe: boolean): void {
    const { clock } = this.#fleet;
    this.#lastSuccessAt = clock.now;
    if (isProbe)
      return this.#fleet.apply({
        kind: "success",
        sentAgoMs: clock.now - sentAt,
        agoMs: 0,
        successes: 0,
        isWaiting: false,
      });
    if (!this.#isWatching) return;
    this.#successes += 1;
    this.#lastSentAt = sentAt;
    if (this.#successes === 1) clock.after(COALESCE_MS, () => this.#flush());
  }

  #flush(): void {
    if (this.#successes === 0) return;
    const successes = this.#successes;
    this.#successes = 0;
    const sentAgoMs = this.#fleet.clock.now - this.#lastSentAt;
    this.#fleet.apply({ kind: "success", sentAgoMs, agoMs: 0, successes, isWaiting: this.#hasWaiters });
  }

  #reportFailure(sentAt: number, isProbe: boolean): void {
    const { clock } = this.#fleet;
    const lastSuccessAt = this.#lastSuccessAt ?? this.#fleet.lastSuccessAt;
    this.#flush();
    this.#fleet.apply({
      kind: "failure",
      sentAgoMs: clock.now - sentAt,
      isProbe,
      countsForPace: !isProbe,
      isWaiting: this.#hasWaiters,
      lastSuccessAgoMs: lastSuccessAt === undefined ? undefined : clock.now - lastSuccessAt,
      refused: undefined,
      retryAfterMs: 0,
    });
    this.#isWatching = true;
  }
}
