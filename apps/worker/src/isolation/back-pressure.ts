/** Work for this many seconds may wait in the worker. Loading a batch takes a tenth of that. */
const ENOUGH_S = 0.25;
/** How many requests beyond that may wait, so that urgent batches are still fetched. */
const MAX_EXCESS = 1_000;
/** How many beyond that may wait for a share. The others leave room for requests that can be sent. */
const MAX_SHARE_EXCESS = 0.75 * MAX_EXCESS;

/** Counts the requests that wait for a slot, and says when the lanes should fetch no more. */
export class BackPressure {
  readonly #size: number;
  #waiting = 0;
  /** How many of them were released. Their release job bounds them, so they make no worker overfull. */
  #released = 0;
  /** How many waiting requests a share, a slow subscriber or a rate limit blocked at the last sweep. */
  #throttled = 0;
  /** Requests completed per second: a count that decays with a time constant of a second. */
  #completedPerSecond = 0;
  #completedAt = 0;
  readonly #capacityWaiters = new Set<() => void>();

  /** @param size the worker's slots */
  constructor(size: number) {
    this.#size = size;
  }

  get waiting(): number {
    return this.#waiting;
  }

  countWaiting(isFresh: boolean): void {
    this.#waiting += 1;
    if (!isFresh) this.#released += 1;
  }

  /** A request waits no longer. */
  countLeft(isFresh: boolean): void {
    this.#waiting -= 1;
    if (!isFresh) this.#released -= 1;
    if (this.#waiting === 0) this.#throttled = 0;
  }

  countCompleted(now: number): void {
    this.#completedPerSecond = 1 + this.#completedPerSecond * Math.exp((this.#completedAt - now) / 1_000);
    this.#completedAt = now;
  }

  /** Called at the start of a sweep, which counts the throttled requests again. */
  resetThrottled(): void {
    this.#throttled = 0;
  }

  countThrottled(count: number): void {
    this.#throttled += count;
  }

  /**
   * Throttled requests keep no slot busy, so they don't count: another batch may have requests that could be sent at
   * once. They count for `isOverfull`, because they take memory.
   */
  get isFull(): boolean {
    return this.isOverfull || this.#waiting - this.#throttled > this.#enough();
  }

  get isOverfull(): boolean {
    return this.#waiting - this.#released > this.#enough() + MAX_EXCESS;
  }

  /** Whether so many requests wait that none should wait for a share. */
  get isCrowded(): boolean {
    return this.#waiting - this.#released > this.#enough() + MAX_SHARE_EXCESS;
  }

  async waitForCapacity(signal: AbortSignal, maxMs: number): Promise<void> {
    if (!this.isFull || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#capacityWaiters.delete(check);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const check = () => {
        if (!this.isFull) done();
      };
      const timer = setTimeout(done, maxMs);
      this.#capacityWaiters.add(check);
      signal.addEventListener("abort", done, { once: true });
    });
  }

  /** Ends the `waitForCapacity` calls for which there is capacity now. */
  wakeCapacityWaiters(): void {
    for (const check of this.#capacityWaiters) check();
  }

  /** How many waiting requests keep the worker busy: an eighth of its slots, or more where it completes more. */
  #enough(): number {
    const passedMs = performance.now() - this.#completedAt;
    return Math.max(this.#size / 8, ENOUGH_S * this.#completedPerSecond * Math.exp(-passedMs / 1_000));
  }
}
