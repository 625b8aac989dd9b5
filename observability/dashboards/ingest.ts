import { lines, means, perSecond, quantiles, type Dashboard } from "./panels.ts";

export const ingest: Dashboard = {
  uid: "postrider-ingest",
  title: "Postrider: ingest",
  panels: [
    lines(
      "Requests by status",
      "reqps",
      "503: the buffer is full or Postgres is unreachable. 4xx: errors of callers.",
      [{ expr: perSecond("postrider_http_request_duration_seconds_count", "", "status"), legend: "{{status}}" }],
    ),
    lines(
      "Time to answer POST /v1/events",
      "s",
      "Single events; includes the commit.",
      quantiles("postrider_http_request_duration_seconds", 'route="/v1/events",method="POST"'),
    ),
    lines("Share of 5xx", "percentunit", "Share of all requests.", [
      { expr: "postrider:http_errors:ratio_rate5m", legend: "5xx" },
    ]),
    lines("Accepted", "ops", "duplicate: a repeated idempotency key.", [
      { expr: perSecond("postrider_events_accepted_total", "", "result"), legend: "{{result}}" },
    ]),
    lines("Events waiting for their commit", "short", "Grows if Postgres is slow. At the limit ingest responds 503.", [
      { expr: "sum(postrider_accept_waiting_events)", legend: "waiting" },
    ]),
    lines("Events per commit", "short", "Mean.", [means("postrider_flush_rows", "kind", 'kind="accept"')]),
    lines(
      "Duration of a commit",
      "s",
      "The statement and Postgres's disk sync.",
      quantiles("postrider_flush_duration_seconds", 'kind="accept"'),
    ),
    lines(
      "Batches that could not be dispatched",
      "ops",
      "Their deliveries wait in Postgres until the watchdog dispatches them.",
      [{ expr: perSecond("postrider_dispatch_enqueue_failures_total"), legend: "failed" }],
    ),
    lines("CPU time per ingest process", "percentunit", "A process uses one core at most. Close to 1: add processes.", [
      { expr: 'rate(process_cpu_seconds_total{app="ingest"}[$__rate_interval])', legend: "{{instance}}" },
    ]),
    lines("Event-loop lag per ingest process, p99", "s", "Above 0.1 s the process is overloaded.", [
      { expr: 'nodejs_eventloop_lag_p99_seconds{app="ingest"}', legend: "{{instance}}" },
    ]),
  ],
};
