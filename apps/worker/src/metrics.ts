import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { SlotTaker } from "./slots.ts";

export function createWorkerMetrics(registry: Registry, slots: SlotTaker, recordsWaiting: () => number) {
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge("postrider_in_flight", "HTTP requests under way", () => slots.inUse);
  gauge("postrider_slots", "HTTP requests that may be under way at once", () => slots.size);
  gauge("postrider_slot_waiting", "Loaded deliveries that wait for a slot", () => slots.waiting);
  gauge("postrider_records_waiting", "Outcomes that wait for their group commit", recordsWaiting);
  return {
    attempts: new Counter({
      name: "postrider_attempts_total",
      help: "HTTP requests made, by outcome and by what they were made for",
      labelNames: ["outcome", "trigger"] as const,
      registers,
    }),
    attemptDuration: new Histogram({
      name: "postrider_attempt_duration_seconds",
      help: "Time from the start of an HTTP request to its complete response",
      labelNames: ["outcome"] as const,
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    }),
    firstAttemptDelay: new Histogram({
      name: "postrider_first_attempt_delay_seconds",
      help: "Time from accepting an event to the start of a delivery's first attempt",
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
      registers,
    }),
    moves: new Counter({
      name: "postrider_delivery_transitions_total",
      help: "Deliveries that moved to a state, with the reason where the state has one",
      labelNames: ["state", "reason"] as const,
      registers,
    }),
    superseded: new Counter({
      name: "postrider_attempts_superseded_total",
      help: "Outcomes that decided nothing, because the delivery had moved on meanwhile",
      registers,
    }),
    repairs: new Counter({
      name: "postrider_watchdog_repairs_total",
      help: "What the watchdog put back, by lane",
      labelNames: ["lane"] as const,
      registers,
    }),
    poison: new Counter({
      name: "postrider_poison_total",
      help: "What workers died of: batches that were split, and single deliveries that became dead (internal)",
      labelNames: ["what"] as const,
      registers,
    }),
    breakerTransitions: new Counter({
      name: "postrider_breaker_transitions_total",
      help: "Breakers that changed their state, by the state they changed to",
      labelNames: ["to"] as const,
      registers,
    }),
    probes: new Counter({
      name: "postrider_probes_total",
      help: "Probes sent while a breaker was half open, by result",
      labelNames: ["result"] as const,
      registers,
    }),
    released: new Counter({
      name: "postrider_released_total",
      help: "Held deliveries put back on the dispatch lane",
      registers,
    }),
  };
}
