import { lines, means, perSecond, quantiles, type Dashboard } from "./panels.ts";

export const workers: Dashboard = {
  uid: "postrider-workers",
  title: "Postrider: lanes and workers",
  panels: [
    lines(
      "Jobs in the lanes",
      "short",
      "dispatch: batches of up to 100 deliveries; retry: deliveries that wait for a retry; control: " +
        "releases. If dispatch grows, add workers.",
      [{ expr: "max by (lane, state) (postrider_lane_jobs)", legend: "{{lane}} {{state}}" }],
    ),
    lines(
      "Requests in flight and slots",
      "short",
      "All slots in use for long: subscribers are slow, or MAX_IN_FLIGHT is too small.",
      [
        { expr: "sum(postrider_in_flight)", legend: "in flight" },
        { expr: "sum(postrider_slots)", legend: "slots" },
        { expr: "sum(postrider_slot_waiting)", legend: "loaded, waiting" },
      ],
    ),
    lines("Deliveries per batch", "short", "Close to 100 under load. Small batches cost more per delivery.", [
      {
        expr: `${perSecond("postrider_batch_deliveries_sum")} / ${perSecond("postrider_batch_deliveries_count")}`,
        legend: "mean",
      },
    ]),
    lines("Outcomes per flush", "short", "The fixed cost of a flush equals about twenty rows.", [
      means("postrider_flush_rows", "kind", 'kind="record"'),
    ]),
    lines(
      "Duration of recording outcomes",
      "s",
      "Slow if Postgres is slow. Outcomes wait and are not lost.",
      quantiles("postrider_flush_duration_seconds", 'kind="record"'),
    ),
    lines("Waiting outcomes", "short", "Grows while Postgres is unreachable, up to the number of requests in flight.", [
      { expr: "sum(postrider_records_waiting)", legend: "waiting" },
    ]),
    lines(
      "Watchdog repairs",
      "ops",
      "Jobs that the watchdog added again. Zero, except after a crash or a flushed Redis.",
      [
        { expr: perSecond("postrider_watchdog_repairs_total", "", "lane"), legend: "{{lane}}" },
        { expr: perSecond("postrider_poison_total", "", "kind"), legend: "poison: {{kind}}" },
      ],
    ),
    lines("Time since the last watchdog run", "s", "Normally below WATCHDOG_INTERVAL.", [
      { expr: "time() - max(postrider_watchdog_last_run_timestamp_seconds)", legend: "since the last run" },
    ]),
    lines("CPU time per worker", "percentunit", "A worker uses one core at most. Close to 1: add workers.", [
      { expr: 'rate(process_cpu_seconds_total{app="worker"}[$__rate_interval])', legend: "{{instance}}" },
    ]),
    lines("Event-loop lag per worker, p99", "s", "Above 0.1 s the worker is overloaded.", [
      { expr: 'nodejs_eventloop_lag_p99_seconds{app="worker"}', legend: "{{instance}}" },
    ]),
    lines("Memory per worker", "bytes", "Resident set size.", [
      { expr: 'process_resident_memory_bytes{app="worker"}', legend: "{{instance}}" },
    ]),
    lines("Running versions", "short", "More than one version only during a deployment.", [
      { expr: "count by (app, version) (postrider_build_info)", legend: "{{app}} {{version}}" },
    ]),
  ],
};
