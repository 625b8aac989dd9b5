import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { LookupResult } from "./lookup-result.ts";

const OUTCOMES = ["found", "not_found", "failed", "no_server", "busy"] as const;

export interface LookupMetrics {
  observe(result: LookupResult, seconds: number): void;
}

/** @param count returns how many look-ups are under way, and how many wait for their turn */
export function createLookupMetrics(
  registry: Registry,
  count: () => { underWay: number; waiting: number },
): LookupMetrics {
  const registers = [registry];
  new Gauge({
    name: "postrider_lookups",
    help: "Host names that are being looked up, or wait for that",
    labelNames: ["state"] as const,
    registers,
    collect() {
      const { underWay, waiting } = count();
      this.set({ state: "under_way" }, underWay);
      this.set({ state: "waiting" }, waiting);
    },
  });
  const lookups = new Counter({
    name: "postrider_lookups_total",
    help: "Look-ups of host names in DNS, by outcome",
    labelNames: ["outcome"] as const,
    registers,
  });
  const duration = new Histogram({
    name: "postrider_lookup_duration_seconds",
    help: "Duration of a look-up in DNS, with the wait for its turn",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  });
  for (const outcome of OUTCOMES) lookups.inc({ outcome }, 0);
  return {
    observe(result, seconds) {
      lookups.inc({ outcome: result.kind === "unavailable" ? result.reason : result.kind });
      duration.observe(seconds);
    },
  };
}
