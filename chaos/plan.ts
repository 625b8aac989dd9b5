import { Random } from "./random.ts";
import { LOCK_MS } from "./settings.ts";

interface FaultKind {
  /** Shortest and longest duration, milliseconds. */
  lasts: readonly [number, number];
  /** Workers that lose their requests in flight: up to MAX_IN_FLIGHT deliveries of each may arrive twice. */
  workersHit: "none" | "one" | "all";
  about: string;
}

export const FAULTS = {
  "worker-kill": { lasts: [0, 0], workersHit: "one", about: "kill -9 a worker" },
  "worker-freeze": {
    // The lock expires, the second stalled check after that gives the jobs to other workers, and then the zombie wakes
    // up.
    lasts: [2.25 * LOCK_MS, 3.5 * LOCK_MS],
    workersHit: "one",
    about: "SIGSTOP a worker for longer than the lock, then SIGCONT",
  },
  "worker-term": { lasts: [0, 0], workersHit: "none", about: "SIGTERM a worker under load" },
  "ingest-kill": { lasts: [0, 0], workersHit: "none", about: "kill -9 ingest" },
  "ingest-freeze": { lasts: [1_500, 4_000], workersHit: "none", about: "SIGSTOP ingest, then SIGCONT" },
  "redis-flush": { lasts: [0, 0], workersHit: "all", about: "FLUSHALL" },
  "redis-wipe": { lasts: [200, 1_500], workersHit: "all", about: "kill -9 Redis, start it without its data" },
  "redis-outage": { lasts: [2_500, 5_000], workersHit: "all", about: "kill -9 Redis, start it with its data later" },
  "redis-freeze": { lasts: [2_500, 4_000], workersHit: "all", about: "SIGSTOP Redis for longer than the lock" },
  // A key that is waited for may be deleted at any time of this.
  "redis-del-wait": { lasts: [300, 1_500], workersHit: "none", about: "delete the lists of waiting jobs, each once" },
  "redis-del-prioritized": { lasts: [300, 1_500], workersHit: "none", about: "the same of jobs with a priority" },
  "redis-del-active": { lasts: [300, 1_500], workersHit: "all", about: "the same of active jobs" },
  "redis-del-delayed": { lasts: [300, 1_500], workersHit: "none", about: "the same of delayed jobs" },
  "redis-del-meta": { lasts: [300, 1_500], workersHit: "none", about: "the same of the queues' settings and counters" },
  "redis-del-job": { lasts: [300, 1_500], workersHit: "all", about: "delete half of the jobs, and no list" },
  "redis-del-lock": { lasts: [300, 1_500], workersHit: "all", about: "delete the locks of active jobs, each once" },
  "redis-del-breaker": { lasts: [300, 1_500], workersHit: "none", about: "the same of breakers and paces" },
  "redis-del-other": {
    lasts: [300, 1_500],
    workersHit: "none",
    about: "the same of rates, turns and the fleet's keys",
  },
  "redis-evict": { lasts: [1_500, 3_000], workersHit: "all", about: "too little memory, any key may be evicted" },
  "postgres-restart": { lasts: [0, 0], workersHit: "all", about: "restart Postgres (fast)" },
  "postgres-kill": { lasts: [500, 4_000], workersHit: "all", about: "kill -9 Postgres, start it later" },
  "receivers-fail": { lasts: [1_500, 4_000], workersHit: "none", about: "receivers answer 500" },
  "receivers-hang": { lasts: [1_500, 4_000], workersHit: "none", about: "receivers never answer" },
  "receivers-drip": {
    lasts: [1_500, 4_000],
    workersHit: "none",
    about: "receivers answer 200 with a body that never ends",
  },
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
  /** The index of the worker that is hit. */
  worker: number;
  /** For each subscriber, whether a fault of receivers hits it. */
  hits: readonly boolean[];
}

/** A pure function of its arguments: every fault once per round, in a random order. */
export function makePlan(
  seed: number,
  options: { faults: readonly FaultName[]; rounds: number; workers: number; subscribers: number },
): PlannedFault[] {
  const random = new Random(seed);
  const order = Array.from({ length: options.rounds }, () => random.shuffled(options.faults)).flat();
  return order.map((name) => {
    const [min, max] = FAULTS[name].lasts;
    return {
      name,
      afterMs: random.integer(300, 1_200),
      lastsMs: random.integer(min, max),
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
