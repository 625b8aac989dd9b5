import type { Redis } from "ioredis";
import { priorityOfBatch } from "@postrider/shared/core/ids/batch-id.ts";
import { addJobs, dispatchJobOf, type Queues } from "@postrider/shared/queue/queues.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";
import type { Batch } from "./accept.ts";
import type { IngestMetrics } from "../metrics.ts";

/** How many batches that Redis did not take are remembered; beyond it they are the watchdog's alone. */
const REMEMBERED = 10_000;

/**
 * Puts freshly committed batches on the dispatch lane. Nobody waits for it: where Redis is away the batches stay
 * `pending` in Postgres. They are added when Redis is back; should this process not live to see it, the watchdog does it.
 * Adding a batch twice is harmless, because its id is its job's.
 */
export function createDispatcher(queues: Queues, redis: Redis, metrics: IngestMetrics, log: Logger) {
  let missed: Batch[] = [];
  let isMissing = false;

  const dispatch = (batches: readonly Batch[]): void => {
    const jobs = batches.map((batch) => dispatchJobOf(batch.id, batch, batch.size));
    addJobs(queues.dispatch, jobs).then(
      () => {
        for (const { id, size } of batches) if (priorityOfBatch(id) > 0) metrics.overShare.inc(size);
        if (isMissing) log.info("dispatching again");
        isMissing = false;
      },
      (error: unknown) => {
        metrics.dispatchMissed.inc(batches.length);
        // One line per outage, not one per flush.
        if (!isMissing) log.warn({ err: error }, "batches could not be dispatched; they wait in Postgres");
        isMissing = true;
        if (missed.length < REMEMBERED) missed.push(...batches);
      },
    );
  };

  redis.on("ready", () => {
    if (missed.length === 0) return;
    const again = missed;
    missed = [];
    dispatch(again);
  });
  return dispatch;
}
