/** Limits how many callers do something at once. Waiters are served in order; one that is aborted leaves the queue. */
export class Semaphore {
  readonly #size: number;
  #inUse = 0;
  readonly #waiters = new Set<() => void>();

  constructor(size: number) {
    this.#size = size;
  }

  /**
   * Waits until it is acquired; the caller must `release()` it.
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
        this.#waiters.delete(grant);
        resolve(false);
      };
      const grant = () => {
        signal.removeEventListener("abort", onAbort);
        resolve(true);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiters.add(grant);
    });
  }

  release(): void {
    const [next] = this.#waiters;
    if (!next) {
      this.#inUse -= 1;
      return;
    }
    // The next waiter takes over this place, so that no other caller can get in between.
    this.#waiters.delete(next);
    next();
  }
}
