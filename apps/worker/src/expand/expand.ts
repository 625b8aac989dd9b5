import { setTimeout as sleep } from "node:timers/promises";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { isMissingPartition } from "@postrider/shared/store/errors.ts";
import { endOldestExpansion } from "@postrider/shared/store/sql/end-oldest-expansion.ts";
import { readClock } from "@postrider/shared/store/sql/read-clock.ts";
import { writeExpansionPage } from "@postrider/shared/store/sql/write-expansion-page.ts";
import type { Context } from "../context.ts";
import type { JobLease } from "../job/lease.ts";
import { RetryLater } from "../job/retry-later.ts";
import type { Semaphore } from "../job/semaphore.ts";
import { retentionCutoff } from "../upkeep/retention.ts";

/**
 * The expand job of one tenant: it writes the further deliveries of the tenant's events, page by page, and dispatches
 * each page when it is committed. It ends when none of the tenant's events is unfinished.
 *
 * @param turns shared by all expand jobs of the process. Waiters are served in order, so tenants take turns with pages
 * @throws RetryLater where the job should run again later
 */
export async function expand(context: Context, tenant: string, lease: JobLease, turns: Semaphore): Promise<void> {
  const { log } = context;
  const startedAt = performance.now();
  for (let total = 0, isDone = false; !isDone;) {
    if (!(await turns.acquire(lease.signal))) throw new RetryLater("given back", 0);
    try {
      const written = await writePage(context, tenant, lease.signal);
      total += written ?? 0;
      isDone = written === undefined;
    } finally {
      turns.release();
    }
    if (isDone && total > 0) {
      log.info({ tenant, deliveries: total, ms: Math.round(performance.now() - startedAt) }, "wrote large fan-outs");
    }
  }
}

/** @returns the number of deliveries; undefined if nothing was left to do */
async function writePage(context: Context, tenant: string, signal: AbortSignal): Promise<number | undefined> {
  const { pool, enqueue, metrics } = context;
  const startedAt = performance.now();
  const page = await writeExpansionPage(pool, tenant, newId()).catch((error: unknown) => {
    if (isMissingPartition(error)) return endDropped(context, tenant, error);
    throw error;
  });
  if (page === undefined) return 0;
  const { events, written, batches } = page;
  if (events === 0) return undefined;
  metrics.deliveriesCreated.inc(written);
  await enqueue.dispatch(batches);
  // Pages take at most half of the time, so that Postgres has room for other work.
  await sleep(performance.now() - startedAt, undefined, { signal }).catch(() => undefined);
  return written;
}

/**
 * Ends the tenant's oldest expansion if its day is past the retention. A statement that was late may have stored it after
 * the day's expansions were ended, and it would keep the tenant's others from being written.
 *
 * @throws the error if there is none
 */
async function endDropped({ pool, settings, metrics }: Context, tenant: string, error: unknown): Promise<undefined> {
  const cutoff = retentionCutoff(await readClock(pool), settings.retentionDays);
  const unwritten = await endOldestExpansion(pool, cutoff, tenant);
  if (unwritten === undefined) throw error;
  metrics.transitions.inc({ state: "dead", reason: "expired" }, unwritten);
}
