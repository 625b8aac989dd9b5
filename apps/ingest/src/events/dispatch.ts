import type { Redis } from "ioredis";
import { priorityOfBatch } from "@postrider/shared/core/ids/batch-id.ts";
import { createEnqueue } from "@postrider/shared/queue/enqueue.ts";
import { createRetryTurns } from "@postrider/shared/queue/retry-turns.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import type { Batch } from "@postrider/shared/queue/jobs.ts";
import type { Queues } from "@postrider/shared/queue/queues.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import type { IngestMetrics } from "../metrics.ts";

/** Batches kept in memory while Redis refuses them. The watchdog dispatches any beyond these. */
const MAX_KEPT = 10_000;

/**
 * Dispatches committed batches, and adds the jobs that write further deliveries, outside of any request. While Redis
 * is unreachable their deliveries stay `pending` in Postgres. This process dispatches the batches when Redis is back;
 * if it has ended by then, the watchdog does. The watchdog also adds the other jobs.
 */
export function createDispatcher(
  queues: Queues,
  redis: Redis,
  metrics: IngestMetrics,
  log: Logger,
): (batches: readonly Batch[], expanding?: readonly string[]) => void {
  let kept: Batch[] = [];
  let isFailing = false;

  const enqueue = createEnqueue(queues, createRetryTurns(redis, now), (_lane, jobs, error) => {
    metrics.dispatchEnqueueFailures.inc(jobs);
    // One line per outage, not one per flush.
    if (!isFailing) log.warn({ err: error }, "could not dispatch batches; their deliveries wait in Postgres");
    isFailing = true;
  });

  async function dispatch(batches: readonly Batch[]): Promise<void> {
    if (!(await enqueue.dispatch(batches))) {
      if (kept.length < MAX_KEPT) kept.push(...batches);
      return;
    }
    for (const { id, size } of batches) if (priorityOfBatch(id) > 0) metrics.deprioritizedDeliveries.inc(size);
    if (isFailing) log.info("dispatching batches again");
    isFailing = false;
  }

  redis.on("ready", () => {
    if (kept.length === 0) return;
    const batches = kept;
    kept = [];
    void dispatch(batches);
  });
  return (batches, expanding = []) => {
    void enqueue.expand(expanding);
    void dispatch(batches);
  };
}
