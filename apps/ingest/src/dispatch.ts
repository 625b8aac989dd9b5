import { dispatchJobOf, type Queues } from "@postrider/shared/queue/queues.ts";
import type { Logger } from "@postrider/shared/telemetry/logger.ts";
import type { Batch } from "./accept-event.ts";
import type { IngestMetrics } from "./metrics.ts";

/**
 * Puts freshly committed batches on the dispatch lane. Nobody waits for it: where Redis is away the batches stay
 * `pending` in Postgres, and the watchdog dispatches them.
 */
export function createDispatcher(queues: Queues, metrics: IngestMetrics, log: Logger) {
  let missedSince: number | undefined;

  return (batches: readonly Batch[]): void => {
    queues.dispatch.addBulk(batches.map((batch) => dispatchJobOf(batch.id, batch, batch.size))).then(
      () => {
        if (missedSince !== undefined) log.info({ awayMs: Date.now() - missedSince }, "dispatching again");
        missedSince = undefined;
      },
      (error: unknown) => {
        metrics.dispatchMissed.inc(batches.length);
        // One line per outage, not one per flush.
        if (missedSince === undefined) log.warn({ err: error }, "batches could not be dispatched; the watchdog will");
        missedSince ??= Date.now();
      },
    );
  };
}
