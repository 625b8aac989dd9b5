import { isUnproven, type Shares } from "./shares.ts";
import type { SubscriptionQueue } from "./subscription-queue.ts";

type MayStart = (queue: SubscriptionQueue) => boolean;

/**
 * Whose turn it is: proven and unproven subscriptions alternate, tenants take turns, and within a tenant its
 * subscriptions do.
 */
export class Turns {
  readonly #proven = new Line();
  readonly #unproven = new Line();
  readonly #shares: Shares;
  #servesUnproven = false;
  #servesNewest = false;
  /** False after no unproven queue could start, until one of them has changed. */
  #mayUnprovenStart = false;

  constructor(shares: Shares) {
    this.#shares = shares;
  }

  /**
   * Puts a queue in line or takes it out, after its waiters, its requests or its standing changed.
   *
   * @param mayFree whether that may let an unproven queue start
   */
  place(queue: SubscriptionQueue, isInLine: boolean, mayFree: boolean): void {
    const unproven = isUnproven(queue);
    this.#mayUnprovenStart ||= mayFree || unproven;
    this.#unproven.place(queue, isInLine && unproven);
    this.#proven.place(queue, isInLine && !unproven);
  }

  /** The next queue that may start a request. It moves to the end. */
  next(mayStart: MayStart): SubscriptionQueue | undefined {
    this.#servesUnproven = !this.#servesUnproven;
    return this.#servesUnproven
      ? (this.#nextUnproven(mayStart) ?? this.#proven.next(mayStart))
      : (this.#proven.next(mayStart) ?? this.#nextUnproven(mayStart));
  }

  /** Whether another tenant than this one waits for a part of the unproven half. */
  hasOthers(tenant: string): boolean {
    return this.#unproven.hasOthers(tenant);
  }

  /**
   * While slots are scarce, most wait for receivers that hang: every second slot goes to a subscription that has not
   * timed out, the one with the newest delivery first.
   */
  #nextUnproven(mayStart: MayStart): SubscriptionQueue | undefined {
    if (!this.#mayUnprovenStart) return undefined;
    this.#servesNewest = this.#shares.isScarce && !this.#servesNewest;
    const queue =
      (this.#servesNewest ? this.#unproven.newest(mayStart) : undefined) ??
      this.#unproven.next(mayStart, (tenant) => !this.#shares.isOverTenantPart(tenant));
    if (!queue) this.#mayUnprovenStart = false;
    return queue;
  }
}

/** Queues that could use a free slot, by tenant. The tenant and the queue served last are at the end. */
class Line {
  readonly #tenants = new Map<string, Set<SubscriptionQueue>>();

  place(queue: SubscriptionQueue, isInLine: boolean): void {
    const queues = this.#tenants.get(queue.tenant);
    if (isInLine) {
      if (queues) queues.add(queue);
      else this.#tenants.set(queue.tenant, new Set([queue]));
    } else if (queues?.delete(queue) && queues.size === 0) {
      this.#tenants.delete(queue.tenant);
    }
  }

  hasOthers(tenant: string): boolean {
    return this.#tenants.size > (this.#tenants.has(tenant) ? 1 : 0);
  }

  /** @param isPreferred tenants that are served before the others */
  next(mayStart: MayStart, isPreferred: (tenant: string) => boolean = () => true): SubscriptionQueue | undefined {
    let found: SubscriptionQueue | undefined;
    for (const [tenant, queues] of this.#tenants) {
      const isFirstChoice = isPreferred(tenant);
      if (found && !isFirstChoice) continue;
      const queue = queues.values().find(mayStart);
      if (queue) found = queue;
      if (queue && isFirstChoice) break;
    }
    if (found) this.#moveToEnd(found);
    return found;
  }

  /**
   * Of the queues that may start, have nothing under way and have not timed out, the one whose oldest delivery is the
   * newest. Deliveries go by their ids and not by their waiting times: held ones come back all the time.
   */
  newest(mayStart: MayStart): SubscriptionQueue | undefined {
    let newest: SubscriptionQueue | undefined;
    let order = "";
    for (const queues of this.#tenants.values()) {
      for (const queue of queues) {
        const oldest = queue.waiters[0]!.request.order;
        if (queue.underWay.size > 0 || queue.timedOut || oldest <= order || !mayStart(queue)) continue;
        newest = queue;
        order = oldest;
      }
    }
    if (newest) this.#moveToEnd(newest);
    return newest;
  }

  #moveToEnd(queue: SubscriptionQueue): void {
    const queues = this.#tenants.get(queue.tenant)!;
    queues.delete(queue);
    queues.add(queue);
    this.#tenants.delete(queue.tenant);
    this.#tenants.set(queue.tenant, queues);
  }
}
