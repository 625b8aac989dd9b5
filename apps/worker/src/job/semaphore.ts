/** A counting semaphore. Waiters are served in order; an aborted waiter leaves the queue. */
export class Semaphore {
  readonly #size: number;
  #inUse = 0;
  readonly #waiters = new Set<() => void>();

  constructor(size: number) {
    this.#size = size;
  }

  /**
   * Waits for a permit; the caller must `release()` it.
   *
   * @returns false if the signal was aborted first; then there is nothing to release
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
    // The permit goes straight to the next waiter, so that no new caller can overtake it.
    this.#waiters.delete(next);
    next();
  }
}
