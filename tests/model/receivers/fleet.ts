import type { Progress } from "@postrider/shared/core/release-window.ts";
import type { BreakerPolicy } from "@postrider/shared/core/breaker.ts";
import {
  reduceHealth,
  UNKNOWN_HEALTH,
  watchedUntil,
  type Health,
  type HealthEvent,
} from "@postrider/shared/core/health.ts";
import { currentRate } from "@postrider/shared/core/pace.ts";
import { takeTokens } from "@postrider/shared/core/rate-limit.ts";
import type { Clock } from "./clock.ts";
import type { Figures } from "./figures.ts";
import type { Receiver } from "./receivers.ts";

/** The default settings. */
export const POLICY: BreakerPolicy = { threshold: 5, recentSuccessMs: 10_000, cooldownMs: 60_000 };
/** As in the recorder: a success is written to the subscription's row this often, and at once after a failure. */
const WRITE_SUCCESS_MS = 600_000;
/** As in the worker's rate limit. */
const MAX_BURST = 5;

export interface Delivery {
  readonly createdAt: number;
  /** Failed attempts that count against the schedule. */
  step: number;
  /** Released and not attempted yet. */
  isReleased: boolean;
}

/** The state that Redis and Postgres share between the workers: one subscription's health, token bucket and held deliveries. */
export class Fleet {
  health: Health = UNKNOWN_HEALTH;
  /** The subscription's row. */
  lastSuccessAt: number | undefined;
  /** Released deliveries that were not attempted yet. */
  released = 0;
  /** What became of them since the release job looked. */
  progress: Progress = { completed: 0, failed: 0 };
  /** Called when a delivery becomes held. */
  onHeld = (): void => undefined;
  readonly clock: Clock;
  readonly receiver: Receiver;
  readonly random: () => number;
  readonly figures: Figures;
  #hasFailedSince = false;
  #held: Delivery[] = [];
  #firstHeld = 0;
  #fullAt = 0;
  #openedAt = 0;

  constructor(parts: { clock: Clock; receiver: Receiver; random: () => number; figures: Figures }) {
    this.clock = parts.clock;
    this.receiver = parts.receiver;
    this.random = parts.random;
    this.figures = parts.figures;
  }

  get isClosed(): boolean {
    return this.health.breaker.state === "closed";
  }

  /** Requests per second; null is not paced. */
  get pace(): number | null {
    const rate = currentRate(this.health.pace, this.clock.now);
    return rate > 0 ? rate : null;
  }

  get isWatched(): boolean {
    return watchedUntil(this.health) > this.clock.now;
  }

  get held(): number {
    return this.#held.length - this.#firstHeld;
  }

  apply(event: HealthEvent): void {
    const { now } = this.clock;
    const wasClosed = this.isClosed;
    this.health = reduceHealth(this.health, event, now, POLICY);
    if (wasClosed && !this.isClosed) {
      this.#openedAt = now;
      this.figures.openings.push(now);
    }
    if (!wasClosed && this.isClosed) this.figures.notClosedMs += now - this.#openedAt;
  }

  record(isSuccess: boolean): void {
    const { now } = this.clock;
    if (!isSuccess) this.#hasFailedSince = true;
    else if (this.#hasFailedSince || now - (this.lastSuccessAt ?? Number.NEGATIVE_INFINITY) >= WRITE_SUCCESS_MS) {
      this.lastSuccessAt = now;
      this.#hasFailedSince = false;
    }
  }

  /** Takes one token of the pace. @returns when the next one is due, if there is none now */
  takeToken(pace: number): number | undefined {
    const burst = Math.max(1, Math.min(MAX_BURST, Math.floor(pace / 20)));
    const { granted, fullAt, nextAt } = takeTokens(this.#fullAt, { rate: pace, burst, wanted: 1 }, this.clock.now);
    this.#fullAt = fullAt;
    return granted > 0 ? undefined : nextAt;
  }

  /** A released delivery has been attempted, or is held again. */
  concludeReleased(isSuccess: boolean): void {
    this.released -= 1;
    this.progress.completed += 1;
    if (!isSuccess) this.progress.failed += 1;
  }

  hold(delivery: Delivery): void {
    if (delivery.isReleased) this.concludeReleased(false);
    delivery.isReleased = false;
    this.#held.push(delivery);
    this.onHeld();
  }

  /** Takes the delivery that was held for the longest time. */
  takeHeld(): Delivery {
    const delivery = this.#held[this.#firstHeld++]!;
    if (this.#firstHeld > 10_000) {
      this.#held = this.#held.slice(this.#firstHeld);
      this.#firstHeld = 0;
    }
    return delivery;
  }

  end(): void {
    if (!this.isClosed) this.figures.notClosedMs += this.clock.now - this.#openedAt;
    this.figures.latencies.sort((a, b) => a - b);
  }
}
