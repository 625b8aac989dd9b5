/** Subscriptions whose last success is remembered; each takes about 100 bytes. */
const MAX_REMEMBERED = 100_000;

/** When each subscription last succeeded in this worker, in milliseconds of `performance.now()`. */
export class LastSuccesses {
  readonly #times = new Map<string, number>();

  note(subscriptionId: string, now: number): void {
    if (this.#times.size >= MAX_REMEMBERED && !this.#times.has(subscriptionId)) this.#times.clear();
    this.#times.set(subscriptionId, now);
  }

  of(subscriptionId: string): number | undefined {
    return this.#times.get(subscriptionId);
  }
}
