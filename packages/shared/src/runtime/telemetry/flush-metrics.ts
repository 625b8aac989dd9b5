import type { OnFlush } from "../../concurrency/isolating-flush.ts";
import { Histogram, type Registry } from "prom-client";

/** @param kind of the rows: `accept` or `record` */
export function createFlushMetrics(registry: Registry, kind: string): OnFlush {
  const rows = new Histogram({
    name: "postrider_flush_rows",
    help: "Events or outcomes per group commit",
    labelNames: ["kind"] as const,
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000],
    registers: [registry],
  });
  const duration = new Histogram({
    name: "postrider_flush_duration_seconds",
    help: "Duration of a group commit",
    labelNames: ["kind"] as const,
    buckets: [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  return (count, seconds) => {
    rows.observe({ kind }, count);
    duration.observe({ kind }, seconds);
  };
}
