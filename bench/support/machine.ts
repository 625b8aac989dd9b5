import { cpus, loadavg } from "node:os";
import { eventCount, meanBytes } from "./payloads.ts";
import type { Servers } from "./servers.ts";

/** The machine of the measurement. */
export interface Machine {
  cpus: number;
  cpuModel: string;
  node: string;
  postgres: string;
  redis: string;
  payloads: string;
  /** Others' load: the average of the minute before the run. */
  loadBefore: number;
}

export function describeMachine({ versions }: Servers): Machine {
  const all = cpus();
  return {
    cpus: all.length,
    cpuModel: all[0]?.model.trim() || "unknown processor",
    node: process.versions.node,
    ...versions,
    payloads: `${eventCount} payloads of ${(meanBytes / 1000).toFixed(1)} kB on average`,
    loadBefore: loadavg()[0]!,
  };
}
