import type { Pool } from "@postrider/shared/store/pool.ts";
import { countUnfinished } from "@postrider/shared/store/sql/count-unfinished.ts";
import { Problem } from "../http/problem.ts";

/** How long a count is good for. */
const FRESH_MS = 2_000;
/** Counting a tenant takes at most a twentieth of one connection's time. */
const MIN_PAUSES = 20;
const RETRY_AFTER_S = 5;
const MAX_TENANTS = 10_000;

interface Backlog {
  /** Unfinished deliveries at the last count, and deliveries that this process has made since. */
  counted: number;
  made: number;
  /** When a count is good for no longer, and when the next one may begin. */
  staleAt: number;
  recountAt: number;
  counting: Promise<void> | undefined;
}

/**
 * Limits the unfinished deliveries of each tenant (MAX_BACKLOG_PER_TENANT). They are counted every two seconds while the
 * tenant posts, and before where this process has made enough to reach the limit. What is posted meanwhile may exceed it.
 */
export class TenantBacklogs {
  readonly #max: number;
  readonly #pool: Pool;
  readonly #tenants = new Map<string, Backlog>();

  /** @param max 0 is no limit */
  constructor(max: number, pool: Pool) {
    this.#max = max;
    this.#pool = pool;
  }

  /** @throws Problem backlog_full */
  async check(events: readonly { tenant: string }[]): Promise<void> {
    if (this.#max === 0) return;
    for (const tenant of new Set(events.map((event) => event.tenant))) {
      const backlog = this.#backlogOf(tenant);
      const now = performance.now();
      const mayBeFull = backlog.counted < this.#max && backlog.counted + backlog.made >= this.#max;
      if ((backlog.staleAt <= now || mayBeFull) && backlog.recountAt <= now) {
        backlog.counting ??= this.#count(backlog, tenant);
      }
      // A tenant that was below the limit need not wait for the news that it still is.
      if (backlog.counted >= this.#max || mayBeFull || backlog.staleAt === 0) await backlog.counting;
      if (backlog.counted < this.#max) continue;
      throw new Problem("backlog_full", `tenant ${tenant} has ${this.#max} unfinished deliveries: try again later`, {
        headers: { "retry-after": String(RETRY_AFTER_S) },
      });
    }
  }

  /** Notes deliveries that were created. */
  add(tenant: string, deliveries: number): void {
    const backlog = this.#tenants.get(tenant);
    if (backlog) backlog.made += deliveries;
  }

  #backlogOf(tenant: string): Backlog {
    const known = this.#tenants.get(tenant);
    if (known) return known;
    if (this.#tenants.size >= MAX_TENANTS) this.#tenants.clear();
    const backlog: Backlog = { counted: 0, made: 0, staleAt: 0, recountAt: 0, counting: undefined };
    this.#tenants.set(tenant, backlog);
    return backlog;
  }

  async #count(backlog: Backlog, tenant: string): Promise<void> {
    const startedAt = performance.now();
    const made = backlog.made;
    try {
      backlog.counted = await countUnfinished(this.#pool, tenant, this.#max);
      backlog.made -= made;
    } catch {
      // Accepting the event fails for the same reason, or there is no reason to refuse it.
    } finally {
      const now = performance.now();
      backlog.recountAt = now + MIN_PAUSES * (now - startedAt);
      backlog.staleAt = Math.max(now + FRESH_MS, backlog.recountAt);
      backlog.counting = undefined;
    }
  }
}
