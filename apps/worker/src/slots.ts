/**
 * The worker's slots: how many HTTP requests may be under way at once. First come, first served; a waiter that is
 * aborted leaves the queue.
 */
export class Slots {
  readonly size: number;
  #inUse = 0;
  readonly #waiters = new Set<() => void>();
  readonly #roomWaiters = new Set<() => void>();

  constructor(size: number) {
    this.size = size;
  }

  get inUse(): number {
    return this.#inUse;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /**
   * Waits for a slot; the caller must `release()` it.
   *
   * @returns false where the signal was aborted first; then there is nothing to release
   */
  acquire(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    if (this.#inUse < this.size) {
      this.#inUse += 1;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const onAbort = () => {
        this.#waiters.delete(take);
        this.#tellRoom();
        resolve(false);
      };
      const take = () => {
        signal.removeEventListener("abort", onAbort);
        resolve(true);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiters.add(take);
    });
  }

  release(): void {
    const [next] = this.#waiters;
    if (next) {
      // The slot passes on without becoming free in between.
      this.#waiters.delete(next);
      next();
      this.#tellRoom();
    } else {
      this.#inUse -= 1;
    }
  }

  /** Waits until fewer than `limit` callers wait for a slot: the moment to fetch more work. */
  async room(limit: number, signal: AbortSignal): Promise<void> {
    while (this.#waiters.size >= limit && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = () => {
          this.#roomWaiters.delete(done);
          signal.removeEventListener("abort", done);
          resolve();
        };
        this.#roomWaiters.add(done);
        signal.addEventListener("abort", done, { once: true });
      });
    }
  }

  #tellRoom(): void {
    for (const tell of this.#roomWaiters) tell();
  }
}
