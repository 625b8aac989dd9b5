import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { DEAD_REASONS, HELD_REASONS } from "@postrider/shared/core/delivery/states.ts";
import type { Recorder } from "./record/record-attempts.ts";
import type { SlotPool } from "./isolation/slot-pool.ts";

const REQUEST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export function createWorkerMetrics(registry: Registry, slots: SlotPool, recorder: Recorder) {
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
  gauge("postrider_records_waiting", "Attempts and transitions that are not committed yet", () => recorder.waiting);
  gauge(
    "postrider_oldest_record_waiting_seconds",
    "How long the oldest of them has waited to be committed",
    () => recorder.oldestMs / 1000,
  );
  const metrics = {
    attempts: new Counter({
      name: "postrider_attempts_total",
      help: "HTTP requests, by outcome, trigger, class of the response status (none without a response) and error code",
      labelNames: ["outcome", "trigger", "status", "error"] as const,
      registers,
    }),
    attemptDuration: new Histogram({
      name: "postrider_attempt_duration_seconds",
      help: "Time from the start of an HTTP request to its complete response",
      labelNames: ["outcome"] as const,
      buckets: REQUEST_BUCKETS,
      registers,
    }),
    attemptPhase: new Histogram({
      name: "postrider_attempt_phase_seconds",
      help: "Phases of a request: first_byte until the response head, body until its end; for new connections dns, connect, tls",
      labelNames: ["phase"] as const,
      buckets: REQUEST_BUCKETS,
      registers,
    }),
    deliveryDuration: new Histogram({
      name: "postrider_delivery_duration_seconds",
      help: "Time from accepting an event to the complete response that delivered it",
      buckets: [...REQUEST_BUCKETS, 60, 300, 1_800, 7_200, 86_400],
      registers,
    }),
    batchSize: new Histogram({
      name: "postrider_batch_deliveries",
      help: "Deliveries loaded with a batch",
      buckets: [1, 2, 5, 10, 20, 50, 75, 100],
      registers,
    }),
    firstAttemptDelay: new Histogram({
      name: "postrider_first_attempt_delay_seconds",
      help: "Time from accepting an event to the start of a delivery's first attempt",
      buckets: [...REQUEST_BUCKETS, 60, 300],
      registers,
    }),
    transitions: new Counter({
      name: "postrider_delivery_transitions_total",
      help: "Deliveries that moved to a state, with the reason where the state has one",
      labelNames: ["state", "reason"] as const,
      registers,
    }),
    superseded: new Counter({
      name: "postrider_attempts_superseded_total",
      help: "Attempts whose outcome was not applied, because the delivery had changed its state",
      registers,
    }),
    deliveriesCreated: new Counter({
      name: "postrider_deliveries_created_total",
      help: "Deliveries of accepted events that were written after the event",
      registers,
    }),
    repairs: new Counter({
      name: "postrider_watchdog_repairs_total",
      help: "Jobs that the watchdog added, by the state of their deliveries",
      labelNames: ["lane"] as const,
      registers,
    }),
    poison: new Counter({
      name: "postrider_poison_total",
      help: "Batches that were split, and deliveries that were dead-lettered (internal), because workers died of them",
      labelNames: ["kind"] as const,
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
  // Prometheus sees no increase in a counter that first appears with a 1, so the alerts need the 0 before it.
  for (const reason of DEAD_REASONS) metrics.transitions.inc({ state: "dead", reason }, 0);
  for (const reason of HELD_REASONS) metrics.transitions.inc({ state: "held", reason }, 0);
  for (const state of ["delivered", "retrying", "cancelled"]) metrics.transitions.inc({ state, reason: "" }, 0);
  for (const lane of ["pending", "retrying", "held", "expanding"]) metrics.repairs.inc({ lane }, 0);
  for (const kind of ["batch", "delivery"]) metrics.poison.inc({ kind }, 0);
  for (const result of ["success", "failure"]) metrics.probes.inc({ result }, 0);
  for (const to of ["open", "half_open", "closed"]) metrics.breakerTransitions.inc({ to }, 0);
  return metrics;
}
