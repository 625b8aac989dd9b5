import { BREAKERS, HELD, lines, perSecond, quantiles, stat, type Dashboard } from "./panels.ts";

export const overview: Dashboard = {
  uid: "postrider-overview",
  title: "Postrider: overview",
  panels: [
    stat(
      "Delivered, last hour",
      "percentunit",
      "1 - postrider:dead_share:ratio_rate1h",
      "Share of settled deliveries, except deliveries that ended with a 410. The objective is 99 %.",
      { yellow: 0.995, red: 0.99, isLowerWorse: true },
    ),
    stat(
      "Oldest past due",
      "s",
      "max(postrider_oldest_due_seconds)",
      "Time since the oldest due delivery should have been attempted. Above a few seconds: the workers " +
        "can't keep up, or none is running.",
      { yellow: 30, red: 60 },
    ),
    stat("Accepted", "ops", perSecond("postrider_events_accepted_total"), "Events answered with 202, per second."),
    stat(
      "Delivered",
      "ops",
      perSecond("postrider_delivery_transitions_total", 'state="delivered"'),
      "Deliveries that got a 2xx, per second.",
    ),
    stat("Held", "short", `sum(${HELD})`, "Deliveries that wait for their subscriber. They use no attempts."),
    stat("Breakers not closed", "short", `sum(${BREAKERS})`, "Subscriptions that failed five times in a row.", {
      yellow: 1,
      red: 10,
    }),
    lines(
      "Events and deliveries",
      "ops",
      "Accepted and delivered per second. If delivered stays below created, a backlog grows.",
      [
        { expr: perSecond("postrider_events_accepted_total"), legend: "events accepted" },
        { expr: perSecond("postrider_deliveries_created_total"), legend: "deliveries created" },
        { expr: perSecond("postrider_delivery_transitions_total", 'state="delivered"'), legend: "delivered" },
        { expr: perSecond("postrider_delivery_transitions_total", 'state="dead"'), legend: "dead letters" },
      ],
    ),
    lines(
      "From accepted to delivered",
      "s",
      "Until the complete 2xx, including the subscriber's time and all retries.",
      quantiles("postrider_delivery_duration_seconds"),
    ),
    lines(
      "From accepted to the first attempt",
      "s",
      "The latency that Postrider adds.",
      quantiles("postrider_first_attempt_delay_seconds"),
    ),
    lines(
      "Workers",
      "short",
      "Workers with a heartbeat within the last half minute, and workers that Prometheus can scrape.",
      [
        { expr: "max(postrider_workers)", legend: "alive" },
        { expr: 'sum(up{job="postrider-worker"})', legend: "scraped" },
      ],
      6,
    ),
    {
      title: "Alerts",
      description: "Firing and pending alerts. docs/running-in-production.md has a runbook for each.",
      kind: "alertlist",
      unit: "short",
      queries: [],
      width: 6,
      height: 8,
    },
  ],
};
