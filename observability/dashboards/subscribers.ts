import { BREAKERS, HELD, lines, perSecond, type Dashboard } from "./panels.ts";

export const subscribers: Dashboard = {
  uid: "postrider-subscribers",
  title: "Postrider: failing subscribers",
  panels: [
    lines(
      "Breakers not closed",
      "short",
      "GET /v1/subscriptions shows each breaker, and the workers log the subscription when it opens.",
      [{ expr: BREAKERS, legend: "{{state}}" }],
    ),
    lines(
      "Breaker transitions",
      "ops",
      "A breaker that keeps opening and closing means an overloaded subscriber: set its rateLimit.",
      [{ expr: perSecond("postrider_breaker_transitions_total", "", "to"), legend: "to {{to}}" }],
    ),
    lines(
      "Held, by reason",
      "short",
      "breaker: the subscriber fails; paused, disabled: by an operator or DISABLE_AFTER; rate_limit, " +
        "max_in_flight: more deliveries than its limits allow.",
      [{ expr: HELD, legend: "{{reason}}" }],
    ),
    lines("Released", "ops", "Held deliveries released per second.", [
      { expr: perSecond("postrider_released_total"), legend: "released" },
    ]),
    lines("Probes by result", "ops", "One per open breaker and cooldown, independent of the backlog.", [
      { expr: perSecond("postrider_probes_total", "", "result"), legend: "{{result}}" },
    ]),
    lines("Deprioritized", "ops", "Deliveries of tenants that exceeded their share.", [
      { expr: perSecond("postrider_deprioritized_deliveries_total"), legend: "deprioritized" },
    ]),
  ],
};
