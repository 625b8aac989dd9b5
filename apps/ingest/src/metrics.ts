import { Counter, Gauge, Histogram, type Registry } from "prom-client";

export type IngestMetrics = ReturnType<typeof createIngestMetrics>;

interface Gauges {
  /** How many events wait for their flush. */
  waitingRows: () => number;
  /** How many bytes of request bodies are held. */
  bodyBytes: () => number;
}

export function createIngestMetrics(registry: Registry, { waitingRows, bodyBytes }: Gauges) {
  const registers = [registry];
  new Gauge({
    name: "postrider_request_body_bytes",
    help: "Bytes of request bodies that are being read, or whose requests are not answered yet",
    registers,
    collect() {
      this.set(bodyBytes());
    },
  });
  new Gauge({
    name: "postrider_accept_waiting_events",
    help: "Events waiting for their group commit",
    registers,
    collect() {
      this.set(waitingRows());
    },
  });
  const metrics = {
    accepted: new Counter({
      name: "postrider_events_accepted_total",
      help: "Events answered with 202, by whether they were new or the duplicate of an idempotency key",
      labelNames: ["result"] as const,
      registers,
    }),
    deliveriesCreated: new Counter({
      name: "postrider_deliveries_created_total",
      help: "Deliveries created by accepted events",
      registers,
    }),
    deprioritizedDeliveries: new Counter({
      name: "postrider_deprioritized_deliveries_total",
      help: "Deliveries put behind those of other tenants, because their tenant exceeded its share",
      registers,
    }),
    dispatchEnqueueFailures: new Counter({
      name: "postrider_dispatch_enqueue_failures_total",
      help: "Dispatch and expand jobs that Redis did not take; ingest or the watchdog adds them later",
      registers,
    }),
    reads: new Gauge({
      name: "postrider_reads",
      help: "Reads of the API that run or wait for a connection",
      registers,
    }),
    readsRefused: new Counter({
      name: "postrider_reads_refused_total",
      help: "Reads of the API that were refused, or took too long",
      labelNames: ["reason"] as const,
      registers,
    }),
    backlogCountFailures: new Counter({
      name: "postrider_backlog_count_failures_total",
      help: "Counts of the tenants' unfinished deliveries that failed; the last one stays good",
      registers,
    }),
    connectionsRefused: new Counter({
      name: "postrider_connections_refused_total",
      help: "Connections closed at once, because MAX_CONNECTIONS were open",
      registers,
    }),
    requests: new Histogram({
      name: "postrider_http_request_duration_seconds",
      help: "Time to answer an API request",
      labelNames: ["method", "route", "status"] as const,
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers,
    }),
  };
  for (const reason of ["caller", "all", "timeout"]) metrics.readsRefused.inc({ reason }, 0);
  for (const result of ["new", "duplicate"]) metrics.accepted.inc({ result }, 0);
  return metrics;
}
