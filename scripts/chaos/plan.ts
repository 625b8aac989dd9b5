import { Random } from "./random.ts";
import { LOCK_MS } from "./settings.ts";

/** What a fault is, and how many workers lose what they have in flight by it: that many times MAX_IN_FLIGHT may arrive twice. */
interface FaultKind {
  /** For how long, in milliseconds: from, to. */
  lasts: readonly [number, number];
  workersHit: "none" | "one" | "all";
  about: string;
}

export const FAULTS = {
  "worker-kill": { lasts: [0, 0], workersHit: "one", about: "kill -9 a worker" },
  "worker-freeze": {
    // The lock runs out, and the second stalled check after that gives the work to others; then the zombie wakes up.
    lasts: [2.25 * LOCK_MS, 3.5 * LOCK_MS],
    workersHit: "one",
    about: "SIGSTOP a worker for longer than the lock, then SIGCONT",
  },
  "worker-term": { lasts: [0, 0], workersHit: "none", about: "SIGTERM a worker under load" },
  "ingest-kill": { lasts: [0, 0], workersHit: "none", about: "kill -9 ingest" },
  "ingest-freeze": { lasts: [1_500, 4_000], workersHit: "none", about: "SIGSTOP ingest, then SIGCONT" },
  "redis-flush": { lasts: [0, 0], workersHit: "all", about: "FLUSHALL" },
  "redis-wipe": { lasts: [200, 1_500], workersHit: "all", about: "kill -9 Redis, start it without its data" },
  "redis-away": { lasts: [2_500, 5_000], workersHit: "all", about: "kill -9 Redis, start it with its data later" },
  "redis-freeze": { lasts: [2_500, 4_000], workersHit: "all", about: "SIGSTOP Redis for longer than the lock" },
  "postgres-restart": { lasts: [0, 0], workersHit: "all", about: "restart Postgres (fast)" },
  "postgres-kill": { lasts: [500, 4_000], workersHit: "all", about: "kill -9 Postgres, start it later" },
  "receivers-fail": { lasts: [1_500, 4_000], workersHit: "none", about: "receivers answer 500" },
  "receivers-hang": { lasts: [1_500, 4_000], workersHit: "none", about: "receivers never answer" },
  "receivers-drip": { lasts: [1_500, 4_000], workersHit: "none", about: "receivers answer byte by byte for ever" },
  "receivers-reset": { lasts: [1_500, 4_000], workersHit: "none", about: "receivers reset connections" },
} as const satisfies Record<string, FaultKind>;

export type FaultName = keyof typeof FAULTS;
export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[];

/** One fault to inject. */
export interface PlannedFault {
  name: FaultName;
  /** Quiet load before it. */
  afterMs: number;
  lastsMs: number;
  /** Which worker, where one is hit. */
  worker: number;
  /** Which subscribers, where receivers are hit: those for whom this says true, by their number. */
  hits: readonly boolean[];
}

/** The whole script, a function of its arguments: `rounds` times every fault, in an order of each round's own. */
export function makePlan(
  seed: number,
  options: { faults: readonly FaultName[]; rounds: number; workers: number; subscribers: number },
): PlannedFault[] {
  const random = new Random(seed);
  const order = Array.from({ length: options.rounds }, () => random.shuffled(options.faults)).flat();
  return order.map((name) => {
    const [least, most] = FAULTS[name].lasts;
    return {
      name,
      afterMs: random.integer(300, 1_200),
      lastsMs: random.integer(least, most),
      worker: random.integer(0, options.workers - 1),
      hits: Array.from({ length: options.subscribers }, () => random.next() < 0.6),
    };
  });
}

export function workersHit(name: FaultName, workers: number): number {
  switch (FAULTS[name].workersHit) {
    case "none":
      return 0;
    case "one":
      return 1;
    case "all":
      return workers;
  }
}
