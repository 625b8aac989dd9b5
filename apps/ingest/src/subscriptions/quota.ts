import { countSubscriptions } from "@postrider/shared/store/sql/count-subscriptions.ts";
import { lockSubscriptions } from "@postrider/shared/store/sql/lock-subscriptions.ts";
import type { Queryable } from "@postrider/shared/store/pool.ts";
import { Problem } from "../http/problem.ts";

/**
 * A process may add this part of what a count left without another count, so one that adds many subscriptions rarely
 * counts. Where several processes add subscriptions of one tenant at once, they may together exceed the limit by what
 * each was allowed and has not used yet.
 */
const PART = 8;
const ALLOWANCE_MS = 10_000;
const MAX_ALLOWANCES = 10_000;

interface Allowance {
  left: number;
  until: number;
}

type CheckQuota = (transaction: Queryable) => Promise<void>;

/** Limits the subscriptions of each tenant (MAX_SUBSCRIPTIONS_PER_TENANT). */
export class SubscriptionQuota {
  readonly #max: number;
  readonly #allowances = new Map<string, Allowance>();
  /** The last creation of each tenant that counts. */
  readonly #counting = new Map<string, Promise<unknown>>();

  constructor(max: number) {
    this.#max = max;
  }

  /**
   * Creates a subscription, if its tenant may have one more.
   *
   * @param create calls `check` in the transaction that adds it
   * @throws Problem subscription_limit
   */
  async add<T>(tenant: string, create: (check: CheckQuota) => Promise<T>): Promise<T> {
    if (this.#takeAllowance(tenant)) return create(() => Promise.resolve());
    // One after the other, so that a tenant at its limit does not hold all connections while they wait for the lock.
    const before = this.#counting.get(tenant);
    const created = (async () => {
      await before?.catch(() => undefined);
      return create((transaction) => this.#check(transaction, tenant));
    })();
    this.#counting.set(tenant, created);
    try {
      return await created;
    } finally {
      if (this.#counting.get(tenant) === created) this.#counting.delete(tenant);
    }
  }

  #takeAllowance(tenant: string): boolean {
    const allowance = this.#allowances.get(tenant);
    if (!allowance || allowance.left === 0 || allowance.until < performance.now()) return false;
    allowance.left -= 1;
    return true;
  }

  async #check(transaction: Queryable, tenant: string): Promise<void> {
    await lockSubscriptions(transaction, tenant);
    const count = await countSubscriptions(transaction, tenant, this.#max);
    if (count >= this.#max) {
      throw new Problem("subscription_limit", `the tenant has ${this.#max} subscriptions and may have no more`);
    }
    if (this.#allowances.size >= MAX_ALLOWANCES) this.#allowances.clear();
    const left = Math.floor((this.#max - count - 1) / PART);
    this.#allowances.set(tenant, { left, until: performance.now() + ALLOWANCE_MS });
  }
}
