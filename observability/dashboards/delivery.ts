import { lines, means, perSecond, quantiles, type Dashboard } from "./panels.ts";

export const delivery: Dashboard = {
  uid: "postrider-delivery",
  title: "Postrider: delivery",
  panels: [
    lines(
      "Deliveries by new state",
      "ops",
      "Transitions per second. Many to retrying or held: subscribers are failing.",
      [{ expr: perSecond("postrider_delivery_transitions_total", "", "state"), legend: "{{state}}" }],
    ),
    lines("Attempts by response status", "reqps", "none: no response; see the errors.", [
      { expr: perSecond("postrider_attempts_total", "", "status"), legend: "{{status}}" },
    ]),
    lines(
      "Attempts without a complete response, by error",
      "reqps",
      "dns, refused, unreachable, tls: the subscriber's configuration or the network. timeout, reset: " +
        "usually its load. body: the status came, and its body was cut off or does not decode.",
      [{ expr: perSecond("postrider_attempts_total", 'error!="none"', "error"), legend: "{{error}}" }],
    ),
    lines("Attempts by trigger", "reqps", "auto: the schedule; manual: a manual retry; probe: an open breaker.", [
      { expr: perSecond("postrider_attempts_total", "", "trigger"), legend: "{{trigger}}" },
    ]),
    lines(
      "Duration of an attempt",
      "s",
      "From the start of the request to the complete response.",
      quantiles("postrider_attempt_duration_seconds"),
    ),
    lines("Duration of an attempt, by phase", "s", "Means. dns, connect and tls are of new connections only.", [
      means("postrider_attempt_phase_seconds", "phase"),
    ]),
    lines(
      "Look-ups of host names, by outcome",
      "reqps",
      "failed: the name's own servers. no_server: ours do not answer. busy: too many at once.",
      [{ expr: perSecond("postrider_lookups_total", "", "outcome"), legend: "{{outcome}}" }],
    ),
    lines(
      "Dead letters by reason",
      "ops",
      "exhausted: all attempts failed; expired: held for too long; blocked: the address is not allowed; " +
        "gone: a 410; internal: an error of Postrider, see the logs.",
      [{ expr: perSecond("postrider_delivery_transitions_total", 'state="dead"', "reason"), legend: "{{reason}}" }],
    ),
    lines(
      "Superseded attempts",
      "ops",
      "The state had changed before the attempt was recorded, because its worker had lost the job's lock. " +
        "Normal after a crash.",
      [{ expr: perSecond("postrider_attempts_superseded_total"), legend: "superseded" }],
    ),
  ],
};
