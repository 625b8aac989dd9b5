import type { Redis } from "ioredis";
import { priorityOfBatch } from "@postrider/shared/core/ids/batch-id.ts";
import type { Enqueue } from "@postrider/shared/queue/enqueue.ts";
import type { Batch } from "@postrider/shared/queue/jobs.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import type { IngestMetrics } from "../metrics.ts";

/** Batches kept in memory while Redis refuses them. The watchdog dispatches any beyond these. */
const MAX_KEPT = 10_000;

/**
 * Dispatches committed batches, outside of any request. While Redis is unreachable their deliveries stay `pending` in
 * Postgres. This process dispatches them when Redis is back; if it has ended by then, the watchdog does.
 */
export function createDispatcher(
  enqueue: Pick<Enqueue, "dispatch">,
  redis: Redis,
  metrics: IngestMetrics,
  log: Logger,
): (batches: readonly Batch[]) => void {
  let kept: Batch[] = [];
  let isFailing = false;

  async function dispatch(batches: readonly Batch[]): Promise<void> {
    if (await enqueue.dispatch(batches)) {
      for (const { id, size } of batches) if (priorityOfBatch(id) > 0) metrics.deprioritizedDeliveries.inc(size);
      if (isFailing) log.info("dispatching batches again");
      isFailing = false;
      return;
    }
    metrics.dispatchEnqueueFailures.inc(batches.length);
    // One line per outage, not one per flush.
    if (!isFailing) log.warn("could not dispatch batches; their deliveries wait in Postgres");
    isFailing = true;
    if (kept.length < MAX_KEPT) kept.push(...batches);
  }

  redis.on("ready", () => {
    if (kept.length === 0) return;
    const batches = kept;
    kept = [];
    void dispatch(batches);
  });
  return (batches) => void dispatch(batches);
}
