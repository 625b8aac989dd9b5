/** Bodies that wait in the worker for a slot, bytes: 256 of the largest. */
const MAX_BYTES = 64 * 1024 * 1024;
/** A tenant's share while others use the budget: a few tenants whose bodies keep waiting leave room for the others. */
const TENANT_SHARE = 1 / 4;
/**
 * A tenant that uses nothing may exceed the budget with its next slice, so that it does not wait for the bodies of
 * others. All such slices end at twice the budget: it has room for 32 of the largest.
 */
const MAX_WITH_FIRST_SLICES = 2;
/** Deliveries that wait for their bodies take about a kilobyte each. */
const MAX_WAITING = 1_000;

interface Waiter {
  bytes: number;
  deliveries: number;
  grant: () => void;
}

interface Account {
  used: number;
  readonly waiters: Set<Waiter>;
}

/**
 * Bounds the bytes of the bodies that are loaded and wait for a slot. Tenants take turns.
 *
 * The memory is bounded by twice the budget, and for what is added with a batch's rows by the number of fresh deliveries
 * that may wait in a worker (isolation/back-pressure.ts). All of them are fresh ones, which wait for a second, or while
 * no slot is free. Bodies of released deliveries and of requests under way are bounded by the slots.
 */
export class BodyBudget {
  readonly #max: number;
  #used = 0;
  #waiting = 0;
  /** By tenant, in the order of their turns. */
  readonly #accounts = new Map<string, Account>();

  constructor(max = MAX_BYTES) {
    this.#max = max;
  }

  get used(): number {
    return this.#used;
  }

  /** Whether deliveries wait for their bodies. Another batch would only wait behind them, unless it is urgent. */
  get isFull(): boolean {
    return this.#waiting > 0;
  }

  /** Whether so many wait that not even an urgent batch should be fetched. */
  get isOverfull(): boolean {
    return this.#waiting > MAX_WAITING;
  }

  /**
   * Waits until the tenant may load these bodies; the caller must `release()` the bytes. One larger than the budget may
   * be loaded alone.
   *
   * @returns false if the signal was aborted first; then there is nothing to release
   */
  acquire(tenant: string, { bytes, deliveries }: Omit<Waiter, "grant">, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const { waiters } = this.#accountOf(tenant);
      const onAbort = () => {
        waiters.delete(waiter);
        this.#waiting -= deliveries;
        this.#closeIfIdle(tenant);
        this.#serve();
        resolve(false);
      };
      const grant = () => {
        signal.removeEventListener("abort", onAbort);
        waiters.delete(waiter);
        this.#waiting -= deliveries;
        this.add(tenant, bytes);
        resolve(true);
      };
      const waiter = { bytes, deliveries, grant };
      signal.addEventListener("abort", onAbort, { once: true });
      waiters.add(waiter);
      this.#waiting += deliveries;
      this.#serve();
    });
  }

  /** Counts bodies that are loaded already; the caller must `release()` the bytes. */
  add(tenant: string, bytes: number): void {
    this.#accountOf(tenant).used += bytes;
    this.#used += bytes;
  }

  release(tenant: string, bytes: number): void {
    this.#accountOf(tenant).used -= bytes;
    this.#used -= bytes;
    this.#closeIfIdle(tenant);
    this.#serve();
  }

  /** Grants what fits, by turns. */
  #serve(): void {
    if (this.#waiting === 0) return;
    for (let next = this.#next(); next; next = this.#next()) {
      const [tenant, account, waiter] = next;
      this.#accounts.delete(tenant);
      this.#accounts.set(tenant, account);
      waiter.grant();
    }
  }

  /** The next waiter that fits. A tenant at its share is skipped; no small body overtakes a large one of its kind. */
  #next(): [tenant: string, Account, Waiter] | undefined {
    const isAlone = this.#accounts.size === 1;
    const share = isAlone ? this.#max : this.#max * TENANT_SHARE;
    let isFull = false;
    for (const [tenant, account] of this.#accounts) {
      const [waiter] = account.waiters;
      if (!waiter) continue;
      const isFirst = account.used === 0;
      if (!isFirst && (isFull || account.used + waiter.bytes > share)) continue;
      const max = this.#max * (isFirst ? MAX_WITH_FIRST_SLICES : 1);
      if (this.#used === 0 || this.#used + waiter.bytes <= max) return [tenant, account, waiter];
      if (isFirst) return undefined;
      isFull = true;
    }
    return undefined;
  }

  #accountOf(tenant: string): Account {
    let account = this.#accounts.get(tenant);
    if (!account) {
      account = { used: 0, waiters: new Set() };
      this.#accounts.set(tenant, account);
    }
    return account;
  }

  #closeIfIdle(tenant: string): void {
    const account = this.#accounts.get(tenant);
    if (account?.used === 0 && account.waiters.size === 0) this.#accounts.delete(tenant);
  }
}
