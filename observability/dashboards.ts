// The Grafana dashboards. Grafana reads JSON (grafana/dashboards/), which write-dashboards.ts makes of this.

/** One line or number: what Prometheus is asked, and what it is called in the legend. */
interface Query {
  expr: string;
  legend?: string;
}

type Unit = "short" | "ops" | "reqps" | "s" | "percentunit" | "bytes";

interface Panel {
  title: string;
  /** What it says, and what it looks like when something is wrong. */
  description: string;
  kind: "timeseries" | "stat" | "alertlist";
  unit: Unit;
  queries: readonly Query[];
  /** Of 24 columns. */
  width: number;
  height: number;
  /** From which value on a number is yellow and red; the other way round where less is worse. */
  thresholds?: { yellow: number; red: number; lessIsWorse?: boolean };
}

export interface Dashboard {
  /** Its file's name and its address in Grafana. */
  uid: string;
  title: string;
  panels: readonly Panel[];
}

const stat = (
  title: string,
  unit: Unit,
  expr: string,
  description: string,
  thresholds?: Panel["thresholds"],
): Panel => ({
  title,
  description,
  kind: "stat",
  unit,
  queries: [{ expr }],
  width: 4,
  height: 4,
  ...(thresholds && { thresholds }),
});

const lines = (title: string, unit: Unit, description: string, queries: readonly Query[], width = 12): Panel => ({
  title,
  description,
  kind: "timeseries",
  unit,
  queries,
  width,
  height: 8,
});

const perSecond = (metric: string, labels = "", by = ""): string =>
  `sum${by === "" ? "" : ` by (${by})`} (rate(${metric}${labels === "" ? "" : `{${labels}}`}[$__rate_interval]))`;

/** The middle and the slow end of a histogram of seconds. */
const quantiles = (metric: string, labels = ""): Query[] =>
  [0.5, 0.95, 0.99].map((share) => ({
    expr: `histogram_quantile(${share}, ${perSecond(`${metric}_bucket`, labels, "le")})`,
    legend: `p${share * 100}`,
  }));

/** The mean of a histogram, for each value of a label. */
const means = (metric: string, by: string, labels = ""): Query => ({
  expr: `${perSecond(`${metric}_sum`, labels, by)} / ${perSecond(`${metric}_count`, labels, by)}`,
  legend: `{{${by}}}`,
});

const BREAKERS = "sum by (state) (max by (state) (postrider_breakers))";
const HELD = "max by (reason) (postrider_held)";

const overview: Dashboard = {
  uid: "postrider-overview",
  title: "Postrider: overview",
  panels: [
    stat("Delivered, last hour", "percentunit", "1 - postrider:dead_share:ratio_rate1h", "Of what was settled, without those that answered 410. The objective is 99 %.", { yellow: 0.995, red: 0.99, lessIsWorse: true }), // prettier-ignore
    stat("Oldest past due", "s", "max(postrider_oldest_due_seconds)", "How long the oldest delivery that should have been attempted has waited. More than a few seconds: the workers cannot keep up, or are not there.", { yellow: 30, red: 60 }), // prettier-ignore
    stat("Accepted", "ops", perSecond("postrider_events_accepted_total"), "Events answered with 202, per second."),
    stat("Delivered", "ops", perSecond("postrider_delivery_transitions_total", 'state="delivered"'), "Deliveries that a subscriber answered with 2xx, per second."), // prettier-ignore
    stat("Held", "short", `sum(${HELD})`, "Deliveries that wait for their subscriber. They spend no attempts."),
    stat("Breakers not closed", "short", `sum(${BREAKERS})`, "Subscribers that failed five times in a row.", { yellow: 1, red: 10 }), // prettier-ignore
    lines("Events and deliveries", "ops", "What comes in, what goes out, what is given up. Where delivered stays below accepted, a backlog grows (or events have no subscriber).", [
      { expr: perSecond("postrider_events_accepted_total"), legend: "events accepted" },
      { expr: perSecond("postrider_deliveries_created_total"), legend: "deliveries made" },
      { expr: perSecond("postrider_delivery_transitions_total", 'state="delivered"'), legend: "delivered" },
      { expr: perSecond("postrider_delivery_transitions_total", 'state="dead"'), legend: "dead letters" },
    ]), // prettier-ignore
    lines("From accepting to delivered", "s", "Until the subscriber's complete answer, its own time and all retries included.", quantiles("postrider_delivery_duration_seconds")), // prettier-ignore
    lines("From accepting to the first attempt", "s", "What Postrider itself takes.", quantiles("postrider_first_attempt_delay_seconds")), // prettier-ignore
    lines("Workers", "short", "Those that were heard of within the last half minute, and those that Prometheus reaches.", [
      { expr: "max(postrider_workers)", legend: "heard of" },
      { expr: 'sum(up{job="postrider-worker"})', legend: "scraped" },
    ], 6), // prettier-ignore
    { title: "Alerts", description: "What fires, each with its runbook in docs/running-in-production.md.", kind: "alertlist", unit: "short", queries: [], width: 6, height: 8 }, // prettier-ignore
  ],
};

const delivery: Dashboard = {
  uid: "postrider-delivery",
  title: "Postrider: delivery",
  panels: [
    lines("What becomes of deliveries", "ops", "Moves to each state. Many that become retrying or held: subscribers in trouble.", [{ expr: perSecond("postrider_delivery_transitions_total", "", "state"), legend: "{{state}}" }]), // prettier-ignore
    lines("Attempts by the answer's status", "reqps", "none: no answer at all; see the errors.", [{ expr: perSecond("postrider_attempts_total", "", "status"), legend: "{{status}}" }]), // prettier-ignore
    lines("Attempts without an answer, by error", "reqps", "dns, refused, unreachable and tls are the subscriber's set-up or the way to it; timeout and reset its load.", [{ expr: perSecond("postrider_attempts_total", 'error!="none"', "error"), legend: "{{error}}" }]), // prettier-ignore
    lines("Attempts by what they are made for", "reqps", "auto: the schedule; manual: a person; probe: the breaker asks.", [{ expr: perSecond("postrider_attempts_total", "", "trigger"), legend: "{{trigger}}" }]), // prettier-ignore
    lines("How long an attempt takes", "s", "From the start of the request to its complete answer.", quantiles("postrider_attempt_duration_seconds")), // prettier-ignore
    lines("Where an attempt's time goes", "s", "Means. dns, connect and tls only of new connections: the others are reused.", [means("postrider_attempt_phase_seconds", "phase")]), // prettier-ignore
    lines("Dead letters by reason", "ops", "exhausted: all attempts failed; expired: held for too long; blocked: the address is not allowed; gone: answered 410; internal: ours, and a reason to look.", [{ expr: perSecond("postrider_delivery_transitions_total", 'state="dead"', "reason"), legend: "{{reason}}" }]), // prettier-ignore
    lines("Outcomes that came too late", "ops", "The delivery had moved on: its worker had lost the job's lock. Some after a crash are normal.", [{ expr: perSecond("postrider_attempts_superseded_total"), legend: "superseded" }]), // prettier-ignore
  ],
};

const subscribers: Dashboard = {
  uid: "postrider-subscribers",
  title: "Postrider: subscribers in trouble",
  panels: [
    lines("Breakers not closed", "short", "Which ones: GET /v1/subscriptions shows each one's breaker, and the workers' logs name it when it opens.", [{ expr: BREAKERS, legend: "{{state}}" }]), // prettier-ignore
    lines("Breakers that change", "ops", "One subscriber that opens and closes all the time is overloaded: give it a rateLimit.", [{ expr: perSecond("postrider_breaker_transitions_total", "", "to"), legend: "to {{to}}" }]), // prettier-ignore
    lines("Held, by reason", "short", "breaker: it fails; paused, disabled: a person or DISABLE_AFTER said so; rate_limit, max_in_flight: it gets more than it takes.", [{ expr: HELD, legend: "{{reason}}" }]), // prettier-ignore
    lines("Released", "ops", "Held deliveries that go out again.", [{ expr: perSecond("postrider_released_total"), legend: "released" }]), // prettier-ignore
    lines("Probes by result", "ops", "One per open breaker and cooldown, whatever its backlog.", [{ expr: perSecond("postrider_probes_total", "", "result"), legend: "{{result}}" }]), // prettier-ignore
    lines("Put behind the others", "ops", "Deliveries of tenants that were over their share.", [{ expr: perSecond("postrider_deprioritized_deliveries_total"), legend: "over their share" }]), // prettier-ignore
  ],
};

const workers: Dashboard = {
  uid: "postrider-workers",
  title: "Postrider: lanes and workers",
  panels: [
    lines("Jobs in the lanes", "short", "dispatch: batches of up to 100 deliveries; retry: deliveries that wait; control: releases. Dispatch that grows: more workers.", [{ expr: "max by (lane, state) (postrider_lane_jobs)", legend: "{{lane}} {{state}}" }]), // prettier-ignore
    lines("Requests in flight and slots", "short", "In flight at the slots for long: slow subscribers, or MAX_IN_FLIGHT is too small.", [
      { expr: "sum(postrider_in_flight)", legend: "in flight" },
      { expr: "sum(postrider_slots)", legend: "slots" },
      { expr: "sum(postrider_slot_waiting)", legend: "loaded, waiting" },
    ]), // prettier-ignore
    lines("Deliveries per batch", "short", "Near 100 under load; small batches cost more per delivery.", [{ expr: `${perSecond("postrider_batch_deliveries_sum")} / ${perSecond("postrider_batch_deliveries_count")}`, legend: "mean" }]), // prettier-ignore
    lines("Outcomes: how many are recorded together", "short", "A flush costs Postgres as much as twenty rows.", [means("postrider_flush_rows", "kind", 'kind="record"')]), // prettier-ignore
    lines("Outcomes: how long recording takes", "s", "Slow: Postgres is. Nothing is lost meanwhile, outcomes wait.", quantiles("postrider_flush_duration_seconds", 'kind="record"')), // prettier-ignore
    lines("Outcomes that wait", "short", "Grows without end while Postgres is unreachable, up to what is in flight.", [{ expr: "sum(postrider_records_waiting)", legend: "waiting" }]), // prettier-ignore
    lines("Put back by the watchdog", "ops", "Nothing, but after a crash or a flushed Redis.", [
      { expr: perSecond("postrider_watchdog_repairs_total", "", "lane"), legend: "{{lane}}" },
      { expr: perSecond("postrider_poison_total", "", "kind"), legend: "poison: {{kind}}" },
    ]), // prettier-ignore
    lines("Since the watchdog looked", "s", "Below WATCHDOG_INTERVAL, in seconds.", [{ expr: "time() - max(postrider_watchdog_last_run_timestamp_seconds)", legend: "since the last run" }]), // prettier-ignore
    lines("Processor time of each worker", "percentunit", "One is all that a worker can use: more workers then.", [{ expr: 'rate(process_cpu_seconds_total{app="worker"}[$__rate_interval])', legend: "{{instance}}" }]), // prettier-ignore
    lines("Event-loop lag of each worker, p99", "s", "Above 0.1 s: it has more to do than it can.", [{ expr: 'nodejs_eventloop_lag_p99_seconds{app="worker"}', legend: "{{instance}}" }]), // prettier-ignore
    lines("Memory of each worker", "bytes", "Resident.", [{ expr: 'process_resident_memory_bytes{app="worker"}', legend: "{{instance}}" }]), // prettier-ignore
    lines("What is running", "short", "More than one version only while you roll out.", [{ expr: "count by (app, version) (postrider_build_info)", legend: "{{app}} {{version}}" }]), // prettier-ignore
  ],
};

const ingest: Dashboard = {
  uid: "postrider-ingest",
  title: "Postrider: ingest",
  panels: [
    lines("Requests by status", "reqps", "503: the buffer is full or Postgres is unreachable; 4xx is the callers'.", [{ expr: perSecond("postrider_http_request_duration_seconds_count", "", "status"), legend: "{{status}}" }]), // prettier-ignore
    lines("Time to answer POST /v1/events", "s", "Of single events: until the commit.", quantiles("postrider_http_request_duration_seconds", 'route="/v1/events",method="POST"')), // prettier-ignore
    lines("Share answered 5xx", "percentunit", "Of all requests.", [{ expr: "postrider:http_errors:ratio_rate5m", legend: "5xx" }]), // prettier-ignore
    lines("Accepted", "ops", "duplicate: the same idempotency key again.", [{ expr: perSecond("postrider_events_accepted_total", "", "result"), legend: "{{result}}" }]), // prettier-ignore
    lines("Events that wait for their commit", "short", "Grows when Postgres is slow; at its limit ingest answers 503.", [{ expr: "sum(postrider_accept_waiting_events)", legend: "waiting" }]), // prettier-ignore
    lines("Events committed together", "short", "Mean.", [means("postrider_flush_rows", "kind", 'kind="accept"')]), // prettier-ignore
    lines("How long a commit takes", "s", "The statement, and Postgres's wait for the disk.", quantiles("postrider_flush_duration_seconds", 'kind="accept"')), // prettier-ignore
    lines("Batches that Redis did not take", "ops", "They wait in Postgres, and the watchdog dispatches them.", [{ expr: perSecond("postrider_dispatch_enqueue_failures_total"), legend: "missed" }]), // prettier-ignore
    lines("Processor time of each ingest", "percentunit", "One is all that a process can use: more processes then.", [{ expr: 'rate(process_cpu_seconds_total{app="ingest"}[$__rate_interval])', legend: "{{instance}}" }]), // prettier-ignore
    lines("Event-loop lag of each ingest, p99", "s", "Above 0.1 s: it has more to do than it can.", [{ expr: 'nodejs_eventloop_lag_p99_seconds{app="ingest"}', legend: "{{instance}}" }]), // prettier-ignore
  ],
};

const stores: Dashboard = {
  uid: "postrider-stores",
  title: "Postrider: Postgres and Redis",
  panels: [
    lines("Postgres: connections of each process", "short", "Busy at the most for long: Postgres is slow.", [{ expr: "sum by (app, state) (postrider_postgres_connections)", legend: "{{app}} {{state}}" }]), // prettier-ignore
    lines("Postgres: statements that wait for a connection", "short", "Should be none.", [{ expr: "sum by (app) (postrider_postgres_waiting)", legend: "{{app}}" }]), // prettier-ignore
    lines("Postgres: connections of the server", "short", "Of whoever; at the most nobody else gets one.", [{ expr: "max by (state) (postrider_postgres_server_connections)", legend: "{{state}}" }]), // prettier-ignore
    lines("Postgres: size of the database", "bytes", "Falls when a day's partitions are dropped after RETENTION_DAYS.", [{ expr: "max(postrider_database_size_bytes)", legend: "database" }]), // prettier-ignore
    lines("Postgres: mean time of a commit", "s", "Of accepting and of recording.", [means("postrider_flush_duration_seconds", "kind")]), // prettier-ignore
    lines("Redis: memory", "bytes", "When it is full nothing can be dispatched.", [
      { expr: "max(postrider_redis_memory_bytes)", legend: "used" },
      { expr: "max(postrider_redis_memory_limit_bytes) or vector(0)", legend: "limit (0: none)" },
    ]), // prettier-ignore
    lines("Redis: processes that have it", "short", "Below the number of processes: some have lost it.", [{ expr: "sum by (app) (postrider_redis_up)", legend: "{{app}}" }]), // prettier-ignore
  ],
};

export const DASHBOARDS: readonly Dashboard[] = [overview, delivery, subscribers, workers, ingest, stores];

const DATASOURCE = { type: "prometheus", uid: "prometheus" };
const COLUMNS = 24;

/** As Grafana reads it (schema version 39, Grafana 11 and newer). */
export function toGrafana({ uid, title, panels }: Dashboard): object {
  let x = 0;
  let y = 0;
  let rowHeight = 0;
  const placed = panels.map((panel, index) => {
    if (x + panel.width > COLUMNS) {
      x = 0;
      y += rowHeight;
      rowHeight = 0;
    }
    const gridPos = { x, y, w: panel.width, h: panel.height };
    x += panel.width;
    rowHeight = Math.max(rowHeight, panel.height);
    return toPanel(panel, index + 1, gridPos);
  });
  return {
    uid,
    title,
    tags: ["postrider"],
    schemaVersion: 39,
    editable: true,
    refresh: "15s",
    time: { from: "now-1h", to: "now" },
    links: [{ type: "dashboards", tags: ["postrider"], title: "Postrider", asDropdown: true, keepTime: true }],
    panels: placed,
  };
}

function toPanel({ kind, title, description, unit, queries, thresholds }: Panel, id: number, gridPos: object): object {
  const common = { id, type: kind, title, description, gridPos };
  if (kind === "alertlist") {
    return { ...common, options: { alertName: "Postrider", maxItems: 20, sortOrder: 1, stateFilter: { firing: true, pending: true }, datasource: "Prometheus" } }; // prettier-ignore
  }
  const steps = thresholds?.lessIsWorse
    ? [
        { value: null, color: "red" },
        { value: thresholds.red, color: "yellow" },
        { value: thresholds.yellow, color: "green" },
      ]
    : [
        { value: null, color: "green" },
        ...(thresholds
          ? [
              { value: thresholds.yellow, color: "yellow" },
              { value: thresholds.red, color: "red" },
            ]
          : []),
      ];
  return {
    ...common,
    datasource: DATASOURCE,
    fieldConfig: {
      defaults: { unit, min: kind === "stat" ? undefined : 0, thresholds: { mode: "absolute", steps } },
      overrides: [],
    },
    options:
      kind === "stat"
        ? { reduceOptions: { calcs: ["lastNotNull"] } }
        : { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } },
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCodePoint("A".codePointAt(0)! + index),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend ?? "",
      range: kind === "timeseries",
      instant: kind === "stat",
    })),
  };
}
