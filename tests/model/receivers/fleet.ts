import {
  reduceBreaker,
  CLOSED_BREAKER,
  type Breaker,
  type BreakerEvent,
  type BreakerPolicy,
} from "@postrider/shared/core/breaker.ts";
import { decide, decideProbe } from "@postrider/shared/core/delivery/decision.ts";
import { classify } from "@postrider/shared/core/delivery/outcome.ts";
import { DEFAULT_RETRY_SCHEDULE } from "@postrider/shared/core/delivery/retry-schedule.ts";
import { NO_PACE, reducePace, type Pace } from "@postrider/shared/core/pace.ts";
import { INITIAL_RATE as RELEASE_START, maxOnTheWay, nextRate } from "@postrider/shared/core/release-window.ts";
import { takeTokens } from "@postrider/shared/core/rate-limit.ts";
import { Clock } from "./clock.ts";
import type { Exchange, Receiver } from "./receivers.ts";

export const POLICY: BreakerPolicy = { threshold: 5, recentSuccessMs: 10_000, cooldownMs: 60_000 };
const WATCH_MS = 60_000;
const LEARN_MS = 1_000;
const COALESCE_MS = 100;
const MAX_WAIT_MS = 1_000;
const BURST = 5;
const MAX_IN_FLIGHT = 32;
const PROBE_LEASE_MS = 20_000;
const POLL_MS = 50;

interface Delivery {
  bornAt: number;
  step: number;
  heldAt: number;
  isReleased: boolean;
}

/** One worker process: what it knows by itself, and what it has not reported yet. */
interface Worker {
  isWatching: boolean;
  lastSuccessAt: number | undefined;
  successes: number;
  sentAt: number;
  isReporting: boolean;
  inFlight: number;
  fresh: { delivery: Delivery; since: number }[];
  released: Delivery[];
  takesReleased: boolean;
  isPumping: boolean;
}

export interface Figures {
  events: number;
  delivered: number;
  dead: number;
  latencies: number[];
  openMs: number;
  firstOpenAt: number | undefined;
  requests: number;
  lastDeliveredAt: number;
  backlogEndedAt: number;
}

/** Subscribers see one subscription of a fleet of workers; everything that decides is the real code, in simulated time. */
export function simulate(options: {
  receiver: Receiver;
  rate: number;
  seconds: number;
  workers: number;
  random: () => number;
  drainSeconds?: number;
}): Figures {
  const { receiver, rate, seconds, random } = options;
  const clock = new Clock();
  let breaker: Breaker = CLOSED_BREAKER;
  let pace: Pace = NO_PACE;
  let bucket = 0;
  let openedAt = 0;
  const held: Delivery[] = [];
  let heldHead = 0;
  let isReleasing = false;
  let releasedPending = 0;
  const figures: Figures = {
    events: 0,
    delivered: 0,
    dead: 0,
    latencies: [],
    openMs: 0,
    firstOpenAt: undefined,
    requests: 0,
    lastDeliveredAt: 0,
    backlogEndedAt: 0,
  };
  const workers: Worker[] = Array.from({ length: options.workers }, () => ({
    isWatching: false,
    lastSuccessAt: undefined,
    successes: 0,
    sentAt: 0,
    isReporting: false,
    inFlight: 0,
    fresh: [],
    released: [],
    takesReleased: false,
    isPumping: false,
  }));
  const heldCount = () => held.length - heldHead;
  const isWatched = () => breaker.state !== "closed" || pace.rate > 0 || clock.now - breaker.lastFailureAt < WATCH_MS;
  const isWaiting = () => heldCount() > 0 || workers.some((one) => one.fresh.length > 0 || one.released.length > 0);

  const trace = process.env["TRACE"] ? (text: string) => console.log((clock.now / 1000).toFixed(1), text) : undefined;
  function judgePace(answers: Parameters<typeof reducePace>[1]): void {
    const before = pace;
    pace = reducePace(pace, answers, clock.now);
    if (trace && pace.since !== before.since)
      trace(
        `interval ${((clock.now - before.since) / 1000).toFixed(1)} s answers ${before.answers} failures ${before.failures} rate ${before.rate.toFixed(2)} -> ${pace.rate.toFixed(2)} immune ${Math.max(0, pace.immuneUntil - clock.now)} held ${heldCount()}`,
      );
  }

  function apply(event: BreakerEvent): void {
    const before = breaker.state;
    breaker = reduceBreaker(breaker, event, clock.now, POLICY);
    if (before === "closed" && breaker.state === "open") {
      openedAt = clock.now;
      figures.firstOpenAt ??= clock.now;
    }
    if (before !== "closed" && breaker.state === "closed") figures.openMs += clock.now - openedAt;
    // While the breaker is open nothing can be said about load.
    if (breaker.state === "open" && pace.rate > 0) pace = NO_PACE;
  }

  function learn(): void {
    const watched = isWatched();
    for (const worker of workers) worker.isWatching = watched;
    clock.after(LEARN_MS, learn);
  }

  function reportSuccess(worker: Worker, sentAt: number): void {
    worker.lastSuccessAt = clock.now;
    if (!worker.isWatching) return;
    worker.successes += 1;
    worker.sentAt = sentAt;
    if (worker.isReporting) return;
    worker.isReporting = true;
    clock.after(COALESCE_MS, () => flush(worker));
  }

  function flush(worker: Worker): void {
    worker.isReporting = false;
    if (worker.successes === 0) return;
    apply({ kind: "success", sentAgoMs: clock.now - worker.sentAt });
    judgePace({ successes: worker.successes, failures: 0, isWaiting: isWaiting() });
    worker.successes = 0;
  }

  function send(worker: Worker, delivery: Delivery, isProbe: boolean): void {
    figures.requests += 1;
    const sentAt = clock.now;
    worker.inFlight += 1;
    const { exchange, afterMs } = receiver.answer(clock.now, random);
    if (afterMs === 0) answered(worker, delivery, isProbe, exchange, sentAt);
    else clock.after(afterMs, () => answered(worker, delivery, isProbe, exchange, sentAt));
  }

  function answered(worker: Worker, delivery: Delivery, isProbe: boolean, exchange: Exchange, sentAt: number): void {
    worker.inFlight -= 1;
    receiver.ended();
    if (delivery.isReleased) releasedPending -= 1;
    delivery.isReleased = false;
    const outcome = classify(exchange, clock.now);
    if (outcome.kind === "delivered") {
      figures.delivered += 1;
      figures.lastDeliveredAt = clock.now;
      figures.latencies.push(clock.now - delivery.bornAt);
      if (isProbe) apply({ kind: "success", sentAgoMs: clock.now - sentAt });
      else reportSuccess(worker, sentAt);
    } else {
      flush(worker);
      const lastSuccessAgoMs = worker.lastSuccessAt === undefined ? undefined : clock.now - worker.lastSuccessAt;
      apply({
        kind: "failure",
        sentAgoMs: clock.now - sentAt,
        isProbe,
        lastSuccessAgoMs,
        refused: undefined,
        retryAfterMs: 0,
      });
      if (!isProbe && breaker.state === "closed") judgePace({ successes: 0, failures: 1, isWaiting: isWaiting() });
      const next = isProbe ? decideProbe(outcome) : decide(outcome, delivery.step, DEFAULT_RETRY_SCHEDULE, random());
      if (!isProbe) delivery.step += 1;
      if (next.state === "retrying") clock.after(next.delayMs, () => admit(pick(), delivery));
      else if (next.state === "held") hold(delivery);
      else if (next.state === "dead") figures.dead += 1;
    }
    pump(worker);
  }

  const pick = () => workers[Math.floor(random() * workers.length)]!;

  function hold(delivery: Delivery): void {
    delivery.heldAt = clock.now;
    held.push(delivery);
    if (isReleasing) return;
    isReleasing = true;
    clock.after(POLL_MS, () => release(RELEASE_START, clock.now));
  }

  /** What a lane does with a delivery that is due. */
  function admit(worker: Worker, delivery: Delivery): void {
    if (worker.isWatching) {
      if (breaker.state !== "closed") return hold(delivery);
      if (breaker.restUntil > clock.now) return hold(delivery);
    }
    worker.fresh.push({ delivery, since: clock.now });
    pump(worker);
    if (worker.fresh.length > 0) clock.after(MAX_WAIT_MS, () => expire(worker));
  }

  /** A delivery that has waited for a second for the pace is held. */
  function expire(worker: Worker): void {
    while (worker.fresh[0] && clock.now - worker.fresh[0].since >= MAX_WAIT_MS) hold(worker.fresh.shift()!.delivery);
  }

  /** Sends what may be sent: tokens alternate between released and fresh deliveries. */
  function pump(worker: Worker): void {
    while ((worker.fresh.length > 0 || worker.released.length > 0) && worker.inFlight < MAX_IN_FLIGHT) {
      if (worker.isWatching && breaker.state !== "closed") {
        for (const { delivery } of worker.fresh.splice(0)) hold(delivery);
        for (const delivery of worker.released.splice(0)) {
          releasedPending -= 1;
          delivery.isReleased = false;
          hold(delivery);
        }
        return;
      }
      if (pace.rate > 0 && worker.isWatching) {
        const taken = takeTokens(
          bucket,
          { rate: pace.rate, burst: Math.min(BURST, Math.max(1, pace.rate / 20)), wanted: 1 },
          clock.now,
        );
        bucket = taken.fullAt;
        if (taken.granted === 0) {
          if (!worker.isPumping) {
            worker.isPumping = true;
            clock.at(Math.max(taken.nextAt, clock.now + 1), () => {
              worker.isPumping = false;
              pump(worker);
            });
          }
          return;
        }
      }
      const takeReleased = worker.released.length > 0 && (worker.takesReleased || worker.fresh.length === 0);
      worker.takesReleased = !takeReleased;
      send(worker, takeReleased ? worker.released.shift()! : worker.fresh.shift()!.delivery, false);
    }
  }

  /** The release job: so many a second, doubled in each second without a failure, halved in each with one. */
  function release(perSecond: number, sinceMs: number): void {
    if (heldCount() === 0 && releasedPending === 0) {
      isReleasing = false;
      figures.backlogEndedAt = clock.now;
      return;
    }
    const again = (delayMs: number, rate: number, since: number) => clock.after(delayMs, () => release(rate, since));
    if (breaker.state !== "closed") {
      const waitMs = breaker.until - clock.now;
      if (waitMs > 0) return again(waitMs, RELEASE_START, clock.now + waitMs);
      apply({ kind: "probe", leaseMs: PROBE_LEASE_MS });
      const delivery = held[heldHead]!;
      heldHead += 1;
      send(pick(), delivery, true);
      return again(POLL_MS, RELEASE_START, clock.now);
    }
    if (breaker.restUntil > clock.now) return again(breaker.restUntil - clock.now, RELEASE_START, breaker.restUntil);
    const room =
      maxOnTheWay({
        limit: pace.rate > 0 ? pace.rate : null,
        maxInFlight: MAX_IN_FLIGHT,
        workers: workers.length,
        completed: 0,
        aheadMs: 1_000,
      }) - releasedPending;
    for (let left = Math.min(room, Math.ceil((perSecond * POLL_MS) / 1_000)); left > 0 && heldCount() > 0; left -= 1) {
      const delivery = held[heldHead]!;
      heldHead += 1;
      delivery.isReleased = true;
      releasedPending += 1;
      const worker = pick();
      worker.released.push(delivery);
      pump(worker);
    }
    if (heldHead > 10_000) {
      held.splice(0, heldHead);
      heldHead = 0;
    }
    if (clock.now - sinceMs < 1_000) return again(POLL_MS, perSecond, sinceMs);
    const hasFailed = breaker.lastFailureAt > sinceMs;
    again(
      POLL_MS,
      nextRate(
        perSecond,
        hasFailed ? { completed: 1, failed: 1 } : { completed: 0, failed: 0 },
        pace.rate > 0 ? pace.rate : null,
      ),
      clock.now,
    );
  }

  const arrive = () => {
    if (clock.now > seconds * 1_000) return;
    figures.events += 1;
    admit(pick(), { bornAt: clock.now, step: 0, heldAt: 0, isReleased: false });
    clock.after((-Math.log(1 - random()) / rate) * 1_000, arrive);
  };
  clock.after((-Math.log(1 - random()) / rate) * 1_000, arrive);
  learn();
  clock.runUntil((seconds + (options.drainSeconds ?? 0)) * 1_000);
  if (breaker.state !== "closed") figures.openMs += clock.now - openedAt;
  figures.latencies.sort((a, b) => a - b);
  return figures;
}
