import { limitOf } from "./limits.ts";
import type { SubscriptionQueue } from "./subscription-queue.ts";

/** Whose turn it is: tenants take turns, and within a tenant its subscriptions do. */
export class Turns {
  /** By tenant, the queues that could use a free slot. The tenant and the queue served last are at the end. */
  readonly #lines = new Map<string, Set<SubscriptionQueue>>();

  /**
   * Puts the queue in line or takes it out, after its waiters or its requests changed. A queue without waiters or at
   * its own limit is out of line, so that a free slot finds its next request quickly.
   */
  update(queue: SubscriptionQueue): void {
    const line = this.#lines.get(queue.tenant);
    if (queue.waiters.length > 0 && queue.underWay.size < limitOf(queue)) {
      if (line) line.add(queue);
      else this.#lines.set(queue.tenant, new Set([queue]));
    } else if (line?.delete(queue) && line.size === 0) {
      this.#lines.delete(queue.tenant);
    }
  }

  /** Puts the queue behind the other subscriptions of its tenant, and the tenant behind the other tenants. */
  moveToEnd(queue: SubscriptionQueue): void {
    const line = this.#lines.get(queue.tenant);
    if (!line?.delete(queue)) return;
    line.add(queue);
    this.#lines.delete(queue.tenant);
    this.#lines.set(queue.tenant, line);
  }

  /** The queues in line: the first one of each tenant, then the second of each, and so on. */
  *inOrder(): Generator<SubscriptionQueue> {
    // Lazily: mostly the first one is served, and the others are not needed.
    let round: Iterable<SetIterator<SubscriptionQueue>> = this.#lines.values().map((queues) => queues.values());
    for (let left = 1; left > 0;) {
      const next: SetIterator<SubscriptionQueue>[] = [];
      for (const line of round) {
        const { value, done } = line.next();
        if (done) continue;
        yield value;
        next.push(line);
      }
      round = next;
      left = next.length;
    }
  }
}
