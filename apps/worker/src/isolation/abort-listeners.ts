import type { Waiter } from "./subscription-queue.ts";

/** Removes waiters when their signal aborts: one listener per signal, because all deliveries of a batch share one. */
export class AbortListeners {
  readonly #onAbort: (waiter: Waiter) => void;
  readonly #bySignal = new Map<AbortSignal, { waiters: Set<Waiter>; listener: () => void }>();

  constructor(onAbort: (waiter: Waiter) => void) {
    this.#onAbort = onAbort;
  }

  add(waiter: Waiter): void {
    const { signal } = waiter.request;
    let entry = this.#bySignal.get(signal);
    if (!entry) {
      const waiters = new Set<Waiter>();
      const listener = () => {
        for (const waiter of waiters) this.#onAbort(waiter);
      };
      entry = { waiters, listener };
      this.#bySignal.set(signal, entry);
      signal.addEventListener("abort", listener, { once: true });
    }
    entry.waiters.add(waiter);
  }

  remove(waiter: Waiter): void {
    const { signal } = waiter.request;
    const entry = this.#bySignal.get(signal)!;
    entry.waiters.delete(waiter);
    if (entry.waiters.size > 0) return;
    this.#bySignal.delete(signal);
    signal.removeEventListener("abort", entry.listener);
  }
}
