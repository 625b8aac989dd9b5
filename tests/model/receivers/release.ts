import { INITIAL_RATE, maxOnTheWay, nextRate } from "@postrider/shared/core/release-window.ts";
import type { Delivery, Fleet } from "./fleet.ts";
import { MAX_IN_FLIGHT, type Worker } from "./worker.ts";

/** As in the worker's release: the pause between two rounds, without and with a pace. */
const POLL_MS = 100;
const PACED_POLL_MS = 500;
const DISPATCH_MS = 500;
const JUDGE_MS = 1_000;
/** As in the worker: one release has at most half of what a process may have on its way. */
const MAX_ON_THE_WAY = 400;
/** As in the worker: the delivery timeout and some time to record it. */
const PROBE_LEASE_MS = 20_000;

/** The release job of the subscription: probes while the breaker is open, and releases held deliveries while it is closed. */
export class ReleaseJob {
  readonly #fleet: Fleet;
  readonly #workers: readonly Worker[];
  #isRunning = false;
  #rate = 0;
  #judgedAt = 0;
  #failedAt = 0;
  /** Deliveries on their way after the last round. */
  #releasedBefore = 0;
  #budget = 0;
  #budgetAt = 0;

  constructor(fleet: Fleet, workers: readonly Worker[]) {
    this.#fleet = fleet;
    this.#workers = workers;
    fleet.onHeld = () => this.#start();
  }

  #start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#again(POLL_MS);
  }

  /** A new job starts with the initial rate. */
  #again(afterMs: number): void {
    const { clock } = this.#fleet;
    clock.after(afterMs, () => {
      this.#rate = INITIAL_RATE;
      this.#judgedAt = this.#budgetAt = clock.now;
      this.#failedAt = this.#fleet.health.breaker.lastFailureAt;
      this.#budget = 1;
      this.#round();
    });
  }

  #round(): void {
    const { clock, health, isClosed, held, released, figures } = this.#fleet;
    const { breaker } = health;
    if (held === 0 && released === 0) {
      this.#isRunning = false;
      figures.releaseEnds.push(clock.now);
      return;
    }
    if (!isClosed) return this.#probeWhenDue();
    if (breaker.restUntil > clock.now) return this.#again(breaker.restUntil - clock.now);
    this.#releaseSome();
    clock.after(this.#fleet.pace === null ? POLL_MS : PACED_POLL_MS, () => this.#round());
  }

  #probeWhenDue(): void {
    const { clock, health, held } = this.#fleet;
    const waitMs = health.breaker.until - clock.now;
    if (waitMs > 0) return this.#again(waitMs);
    if (held > 0) {
      this.#fleet.apply({ kind: "probe", leaseMs: PROBE_LEASE_MS });
      this.#pick().probe(this.#fleet.takeHeld());
    }
    this.#again(POLL_MS);
  }

  #releaseSome(): void {
    const { clock, pace } = this.#fleet;
    this.#adaptRate(pace);
    const aheadMs = DISPATCH_MS + (pace === null ? POLL_MS : PACED_POLL_MS);
    const completed = this.#releasedBefore - this.#fleet.released;
    const workers = this.#workers.length;
    const max = maxOnTheWay({ limit: pace, maxInFlight: MAX_IN_FLIGHT, workers, completed, aheadMs });
    const room = Math.min(max, MAX_ON_THE_WAY) - this.#fleet.released;
    for (let left = Math.min(room, Math.floor(this.#budget), this.#fleet.held); left > 0; left -= 1) {
      const delivery: Delivery = this.#fleet.takeHeld();
      delivery.isReleased = true;
      this.#fleet.released += 1;
      this.#budget -= 1;
      clock.after(0, () => this.#pick().admit(delivery));
    }
    this.#releasedBefore = this.#fleet.released;
  }

  #pick(): Worker {
    return this.#workers[Math.floor(this.#fleet.random() * this.#workers.length)]!;
  }

  #adaptRate(pace: number | null): void {
    const { now } = this.#fleet.clock;
    const passedS = (now - this.#budgetAt) / 1_000;
    this.#budget = Math.min(1 + this.#rate * Math.max(1, passedS), this.#budget + this.#rate * passedS);
    this.#budgetAt = now;
    if (now - this.#judgedAt < JUDGE_MS) return;
    const { lastFailureAt } = this.#fleet.health.breaker;
    this.#rate = nextRate(this.#rate, lastFailureAt > this.#failedAt, pace);
    this.#judgedAt = now;
    this.#failedAt = lastFailureAt;
  }
}
