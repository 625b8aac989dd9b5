import { setTimeout as pause } from "node:timers/promises";
import type { Pool } from "@postrider/shared/store/pool.ts";
import { countHeldPage } from "@postrider/shared/store/sql/count-held-page.ts";
import { countPendingPage } from "@postrider/shared/store/sql/count-pending-page.ts";
import { countRetryingPage } from "@postrider/shared/store/sql/count-retrying-page.ts";
import { Problem } from "../http/problem.ts";

/** How often a count begins, unless the one before still runs. */
export const COUNT_EVERY_MS = 2_000;
/** Rows of one statement. */
const PAGE = 5_000;
/** The count pauses for this many times as long as a page took: it uses a tenth of one connection. */
const PAUSES = 9;
const RETRY_AFTER_S = 5;

/**
 * Limits the unfinished deliveries of each tenant (MAX_BACKLOG_PER_TENANT). One count at a time walks the unfinished
 * deliveries of all tenants, so its cost does not depend on how many tenants post, and a request waits for no count.
 * What is posted between two counts may exceed the limit.
 */
export class TenantBacklogs {
  readonly #max: number;
  readonly #pool: Pool;
  readonly #onFailure: () => void;
  /** The tenants at their limit, by the last count that succeeded. */
  #full: ReadonlySet<string> = new Set();
  readonly #closing = new AbortController();

  /**
   * @param max 0 is no limit
   * @param pool the connections for reads
   * @param onFailure called for each count that failed; the one before stays good
   */
  constructor(max: number, pool: Pool, onFailure: () => void) {
    this.#max = max;
    this.#pool = pool;
    this.#onFailure = onFailure;
  }

  /** @throws Problem backlog_full */
  check(events: readonly { tenant: string }[]): void {
    if (this.#full.size === 0) return;
    const full = events.find(({ tenant }) => this.#full.has(tenant));
    if (!full) return;
    throw new Problem("backlog_full", `tenant ${full.tenant} has ${this.#max} unfinished deliveries: try again later`, {
      headers: { "retry-after": String(RETRY_AFTER_S) },
    });
  }

  /** @param page rows of one statement */
  async count(page = PAGE): Promise<void> {
    if (this.#max === 0) return;
    try {
      const counts = await this.#walk(page);
      this.#full = new Set([...counts].filter(([, count]) => count >= this.#max).map(([tenant]) => tenant));
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      this.#onFailure();
      throw error;
    }
  }

  /** Ends a count that is under way. */
  close(): void {
    this.#closing.abort();
  }

  async #walk(page: number): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    for (const countPage of [countPendingPage, countRetryingPage, countHeldPage]) {
      let after: string | undefined;
      do {
        const startedAt = performance.now();
        const rows = await countPage(this.#pool, after, page);
        for (const { tenant, deliveries } of rows) {
          if (tenant !== null) counts.set(tenant, (counts.get(tenant) ?? 0) + deliveries);
        }
        after = rows[0]?.next ?? undefined;
        await pause((performance.now() - startedAt) * PAUSES, undefined, { signal: this.#closing.signal });
      } while (after !== undefined);
    }
    return counts;
  }
}
