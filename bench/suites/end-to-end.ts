import type { Target } from "../processes/event-source.ts";
import type { Behaviour } from "../processes/subscribers.ts";
import type { Database } from "../support/database.ts";
import { type Fleet, type FleetKind, type System, withFleet } from "../support/fleet.ts";
import { countRedisCommands } from "../support/redis-commands.ts";
import { withDirectSource, withRelay } from "../support/relay.ts";
import { type Column, type Comparison, type Figures, measureInRounds, withRatio } from "../support/rounds.ts";
import { CPU_COLUMNS, measureLatencies } from "../support/steady-load.ts";
import { scenario } from "./scenario.ts";
import type { Bench } from "./suite.ts";

/** Each has one subscription with the default limit of 32 requests in flight; together they fill a worker's slots. */
const TENANTS = 8;
const BEHAVIOURS = Array.from({ length: TENANTS }, (): Behaviour => "healthy");
const TARGETS = Array.from({ length: TENANTS }, (_, number): Target => ({
  tenant: `tenant-${number}`,
  type: "bench.event",
  number,
}));
/** Both accept as much as they can hold and drop nothing: every accepted event must be delivered. */
const KIND: FleetKind = { env: {} };
const CONNECTIONS = 64;

const TIMES = {
  quick: { warmUpMs: 1_500, measureMs: 2_000, patienceMs: 15_000 },
  full: { warmUpMs: 6_000, measureMs: 10_000, patienceMs: 30_000 },
};
/** Shares of the delivery rate at saturation. */
const STEPS = { quick: [0.5], full: [0.25, 0.5, 0.75, 0.9] };
/** More than any measurement accepts. */
const ENDLESS = 10_000_000;

const OURS = "Postrider";
const RELAY = "bare relay";

const LOW_PER_SECOND = 10;
const LOW_TIMES = {
  quick: { warmUpMs: 2_000, measureMs: 3_000, patienceMs: 5_000 },
  full: { warmUpMs: 6_000, measureMs: 20_000, patienceMs: 5_000 },
};

export const endToEnd = scenario(
  "end-to-end",
  "one ingest, one worker and all else on the machine: delivered per second, how long an event takes at each load, against a relay that stores nothing",
  async (bench, database) => {
    bench.say("end to end: measuring the capacity");
    const { "delivered/s": capacity } = await measureOurs(bench, database, undefined);
    return [await compareLoads(bench, database, capacity!), await compareLow(bench, database)];
  },
);

async function compareLoads(bench: Bench, database: Database, capacity: number): Promise<Comparison> {
  const steps = STEPS[bench.isQuick ? "quick" : "full"].map((share) => ({
    name: `${OURS}, ${Math.round(share * 100)} % of it`,
    measure: () => measureOurs(bench, database, share * capacity),
  }));
  const saturated = `${OURS}, as much as it takes`;
  const contenders = [
    { name: RELAY, measure: () => measureRelay(bench) },
    { name: saturated, measure: () => measureOurs(bench, database, undefined) },
    ...steps,
  ];
  const measured = await measureInRounds(contenders, bench.rounds, (line) => bench.say(`end to end: ${line}`));
  return {
    title: `end to end, single events over ${CONNECTIONS} connections, one ingest and one worker`,
    columns: columns(database),
    measured,
    ratios: [
      withRatio(measured, {
        label: "delivered/s",
        metric: "delivered/s",
        of: saturated,
        against: RELAY,
        goal: "at least 0.45",
      }),
    ],
  };
}

const columns = ({ unit }: Database): Column[] => [
  { metric: "delivered/s", label: "delivered/s", digits: 0 },
  { metric: "p50 accepted", label: "p50 ms from 202", digits: 1 },
  { metric: "p95 accepted", label: "p95 ms", digits: 1 },
  { metric: "p99 accepted", label: "p99 ms", digits: 1 },
  { metric: "missing", label: "not received in time", digits: 0 },
  { metric: "refused", label: "answered 503", digits: 0 },
  { metric: "cpu relay", label: "relay µs CPU/delivery", digits: 0 },
  ...CPU_COLUMNS,
  { metric: "sql", label: `SQL ${unit}/event`, digits: 3 },
  { metric: "redis", label: "Redis commands/event", digits: 2 },
];

async function measureOurs(bench: Bench, database: Database, perSecond: number | undefined): Promise<Figures> {
  return withFleet(bench, database, KIND, BEHAVIOURS, async (fleet) => {
    await startWithTenants(fleet);
    const count = async () => ({
      sql: await database.countStatements(),
      redis: await countRedisCommands(bench.servers.redisUrl),
    });
    return measureLoad(bench, fleet, perSecond, count);
  });
}

async function startWithTenants(fleet: Fleet): Promise<void> {
  for (const [number, url] of fleet.subscribers.urls.entries()) {
    await fleet.subscribe({ url, tenant: TARGETS[number]!.tenant });
  }
  await fleet.startWorkers(1);
}

const measureRelay = (bench: Bench): Promise<Figures> =>
  withRelay(BEHAVIOURS, async (relay) => {
    // The relay answers after it has delivered, so the time from its answer is meaningless.
    const {
      "p50 accepted": _p50,
      "p95 accepted": _p95,
      "p99 accepted": _p99,
      ...figures
    } = await measureLoad(bench, relay, undefined, async () => ({}));
    return figures;
  });

/**
 * @param perSecond events offered; undefined to post the next as soon as one is answered
 * @param count counters of the whole system, reported per event
 */
async function measureLoad(
  bench: Bench,
  system: System,
  perSecond: number | undefined,
  count: () => Promise<Record<string, number>>,
): Promise<Figures> {
  const times = TIMES[bench.isQuick ? "quick" : "full"];
  const totalMs = times.warmUpMs + times.measureMs;
  const source = await system.source({
    targets: TARGETS,
    eventsPerRequest: 1,
    connections: CONNECTIONS,
    isTraced: true,
    ...(perSecond === undefined
      ? { events: ENDLESS, stopAfterMs: totalMs }
      : { events: Math.ceil((perSecond * totalMs) / 1000), perSecond }),
  });
  const counts: Record<string, number>[] = [];
  const read = async () => counts.push(await count());
  const figures = await measureLatencies(system, source, { counted: TENANTS }, times, { begin: read, end: read });
  const [before, after] = [counts[0]!, counts[1]!];
  const perEvent = Object.entries(after).map(([name, value]) => [name, (value - before[name]!) / figures["receipts"]!]);
  return { ...figures, ...Object.fromEntries(perEvent) };
}

/** The latency of a delivery at a load so low that deliveries don't wait for each other. */
async function compareLow(bench: Bench, database: Database): Promise<Comparison> {
  const times = LOW_TIMES[bench.isQuick ? "quick" : "full"];
  const load = {
    events: (LOW_PER_SECOND * (times.warmUpMs + times.measureMs)) / 1000,
    perSecond: LOW_PER_SECOND,
  };
  const DIRECT = "direct POST";
  const contenders = [
    {
      name: OURS,
      measure: () =>
        withFleet(bench, database, KIND, BEHAVIOURS, async (fleet) => {
          await startWithTenants(fleet);
          const task = { ...load, targets: TARGETS, eventsPerRequest: 1, connections: CONNECTIONS, isTraced: true };
          return measureLatencies(fleet, await fleet.source(task), { counted: TENANTS }, times);
        }),
    },
    {
      name: DIRECT,
      measure: () =>
        withDirectSource(BEHAVIOURS, load, async (system, source) => {
          const figures = await measureLatencies(system, source, { counted: TENANTS }, times);
          // There is no 202; its time runs from the POST.
          return {
            ...figures,
            "p50 accepted": figures["p50"]!,
            "p95 accepted": figures["p95"]!,
            "p99 accepted": figures["p99"]!,
          };
        }),
    },
  ];
  const measured = await measureInRounds(contenders, bench.rounds, (line) => bench.say(`low load: ${line}`));
  return {
    title: `end to end, ${LOW_PER_SECOND} events per second`,
    columns: [
      { metric: "p50 accepted", label: "p50 ms from 202 (direct: from the POST)", digits: 2 },
      { metric: "p95 accepted", label: "p95 ms", digits: 2 },
      { metric: "p99 accepted", label: "p99 ms", digits: 2 },
      { metric: "p50", label: "p50 ms from POST", digits: 2 },
      { metric: "missing", label: "not received in time", digits: 0 },
    ],
    measured,
    ratios: [
      withRatio(measured, {
        label: "p50",
        metric: "p50 accepted",
        of: OURS,
        against: DIRECT,
        goal: "at most 3, plus 5 ms",
      }),
    ],
  };
}
