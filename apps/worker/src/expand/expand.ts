import { setTimeout as sleep } from "node:timers/promises";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { writeExpansionPage } from "@postrider/shared/store/sql/write-expansion-page.ts";
import type { Context } from "../context.ts";
import type { JobLease } from "../job/lease.ts";
import { RetryLater } from "../job/retry-later.ts";
import type { Semaphore } from "../job/semaphore.ts";

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
async function writePage(
  { pool, enqueue, metrics }: Context,
  tenant: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  const startedAt = performance.now();
  const { events, written, batches } = await writeExpansionPage(pool, tenant, newId());
  if (events === 0) return undefined;
  metrics.deliveriesCreated.inc(written);
  await enqueue.dispatch(batches);
  // Pages take at most half of the time, so that Postgres has room for other work.
  await sleep(performance.now() - startedAt, undefined, { signal }).catch(() => undefined);
  return written;
}
