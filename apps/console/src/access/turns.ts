/** Queues per key, in each of which one caller at a time waits for `wait()` and then goes on. */
export class Turns {
  readonly #maxWaiting: number;
  readonly #wait: () => Promise<unknown>;
  readonly #queues = new Map<string, { waiting: number; last: Promise<void> }>();

  constructor(maxWaiting: number, wait: () => Promise<unknown>) {
    this.#maxWaiting = maxWaiting;
    this.#wait = wait;
  }

  /** @returns the caller's turn; undefined, at once, where too many wait before it */
  next(key: string): Promise<void> | undefined {
    const queue = this.#queues.get(key) ?? { waiting: 0, last: Promise.resolve() };
    if (queue.waiting >= this.#maxWaiting) return undefined;
    queue.waiting += 1;
    queue.last = queue.last.then(async () => {
      await this.#wait();
      queue.waiting -= 1;
      if (queue.waiting === 0) this.#queues.delete(key);
    });
    this.#queues.set(key, queue);
    return queue.last;
  }
}
