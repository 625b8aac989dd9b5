/** How many may do something at once: first come, first served; a waiter that is aborted leaves the queue. */
export class Semaphore {
  readonly #size: number;
  #inUse = 0;
  readonly #waiters = new Set<() => void>();

  constructor(size: number) {
    this.#size = size;
  }

  /**
   * Waits for its turn; the caller must `release()` it.
   *
   * @returns false where the signal was aborted first; then there is nothing to release
   */
  acquire(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    if (this.#inUse < this.#size) {
      this.#inUse += 1;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const onAbort = () => {
        this.#waiters.delete(take);
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
    if (!next) {
      this.#inUse -= 1;
      return;
    }
    // The turn passes on without becoming free in between.
    this.#waiters.delete(next);
    next();
  }
}
