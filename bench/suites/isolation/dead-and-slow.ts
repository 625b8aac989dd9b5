import type { NewSubscription } from "@postrider/testkit/client/types.ts";
import type { Database } from "../../support/database.ts";
import { type Fleet, type FleetKind, withFleet } from "../../support/fleet.ts";
import { type Comparison, type Figures, measureInRounds, type Measured, withRatio } from "../../support/rounds.ts";
import type { Bench } from "../suite.ts";
import { ALL, CROWD, HEALTHY, HEALTHY_ONLY, subscribeCrowd } from "./crowd.ts";
import { drainBacklog, measureCapacity } from "../../support/backlog.ts";
import { scenario } from "../scenario.ts";
import { ISOLATED } from "./isolated.ts";
import { CPU_COLUMNS, LATENCY_COLUMNS, measureLatencies } from "../../support/steady-load.ts";
import { UNISOLATED, UNISOLATED_POLICY } from "./unisolated.ts";

interface Contestant {
  name: string;
  fleet: FleetKind;
  policy: Pick<NewSubscription, "maxInFlight">;
  /** Whether dead and slow subscribers get events, too. They are subscribed either way. */
  hasBad: boolean;
}

const HEALTHY_ALONE = "healthy alone";
const WITH_BAD = "with dead and slow";
const NOT_ISOLATED = "with dead and slow, not isolated";

const CONTESTANTS: readonly Contestant[] = [
  { name: HEALTHY_ALONE, fleet: ISOLATED, policy: {}, hasBad: false },
  { name: WITH_BAD, fleet: ISOLATED, policy: {}, hasBad: true },
  { name: NOT_ISOLATED, fleet: UNISOLATED, policy: UNISOLATED_POLICY, hasBad: true },
];

/**
 * Turns of one event for each subscriber that gets any: enough that opening the breakers is a small part of the run.
 */
const TURNS = { quick: 50, full: 750 };
const DRAIN_DEADLINE_MS = { quick: 12_000, full: 40_000 };
const CAPACITY_TURNS = { quick: 50, full: 150 };
const CAPACITY_DEADLINE_MS = 60_000;
const STEADY_TIMES = {
  quick: { warmUpMs: 2_000, measureMs: 4_000, patienceMs: 6_000 },
  // A new process needs five seconds to reach full speed. The first requests to silent subscribers time out in the
  // warm-up, too.
  full: { warmUpMs: 7_000, measureMs: 14_000, patienceMs: 8_000 },
};
const STEADY_CONNECTIONS = 64;
/** A quarter of a turn in a request: too small to be a flood by itself. */
const REQUESTS_PER_TURN = 4;

/** How much ten dead and ten slow subscribers of a hundred slow down the eighty others. */
export const deadAndSlow = scenario(
  "isolation-dead-and-slow",
  "80 healthy, 10 dead, 10 slow subscribers: the healthy delivery rate, against the same without the others",
  async (bench, database) => {
    const saturated = await compareSaturated(bench, database);
    const capacity = await measureHealthyCapacity(bench, database);
    return [saturated, await compareAtHalf(bench, database, capacity / 2)];
  },
);

async function compareSaturated(bench: Bench, database: Database): Promise<Comparison> {
  const size = bench.isQuick ? "quick" : "full";
  const measured = await inRounds(bench, database, "saturated", (fleet, { hasBad }) =>
    drainBacklog(fleet, database, {
      targets: hasBad ? ALL : HEALTHY_ONLY,
      turns: TURNS[size],
      healthy: HEALTHY,
      withinMs: DRAIN_DEADLINE_MS[size],
    }),
  );
  const ratio = { label: "healthy delivered/s", metric: "delivered/s", against: HEALTHY_ALONE };
  return {
    title: `isolation, a backlog of ${HEALTHY * TURNS[size]} for healthy subscribers and two workers`,
    columns: [
      { metric: "delivered/s", label: "healthy delivered/s", digits: 0 },
      { metric: "missing", label: "not received in time", digits: 0 },
      ...CPU_COLUMNS,
    ],
    measured,
    ratios: [
      withRatio(measured, { ...ratio, of: WITH_BAD, goal: "at least 0.85" }),
      withRatio(measured, { ...ratio, of: NOT_ISOLATED, goal: "none, it shows the difference" }),
    ],
  };
}

/** The rate at which healthy events are accepted and delivered while no subscriber is dead or slow. */
function measureHealthyCapacity(bench: Bench, database: Database): Promise<number> {
  bench.say("dead and slow: measuring the capacity");
  return withFleet(bench, database, ISOLATED, CROWD, async (fleet) => {
    await subscribeCrowd(fleet, {});
    const backlog = {
      targets: HEALTHY_ONLY,
      turns: CAPACITY_TURNS[bench.isQuick ? "quick" : "full"],
      healthy: HEALTHY,
      withinMs: CAPACITY_DEADLINE_MS,
    };
    return measureCapacity(fleet, backlog, HEALTHY / REQUESTS_PER_TURN);
  });
}

/** @param perSecond events for healthy subscribers, without the events for the others */
async function compareAtHalf(bench: Bench, database: Database, perSecond: number): Promise<Comparison> {
  const times = STEADY_TIMES[bench.isQuick ? "quick" : "full"];
  const requests = Math.round(
    (perSecond / (HEALTHY / REQUESTS_PER_TURN)) * ((times.warmUpMs + times.measureMs) / 1000),
  );
  const measured = await inRounds(bench, database, "half load", async (fleet, { hasBad }) => {
    await fleet.startWorkers();
    const targets = hasBad ? ALL : HEALTHY_ONLY;
    const eventsPerRequest = targets.length / REQUESTS_PER_TURN;
    const source = await fleet.source({
      targets,
      eventsPerRequest,
      events: requests * eventsPerRequest,
      connections: STEADY_CONNECTIONS,
      perSecond: perSecond * (targets.length / HEALTHY),
      isTraced: true,
    });
    const expected = (requests * HEALTHY) / REQUESTS_PER_TURN;
    return measureLatencies(fleet, source, { counted: HEALTHY, expected }, times);
  });
  const ratio = { label: "p99 from POST", metric: "p99", against: HEALTHY_ALONE };
  const accepted = { label: "p99 from 202", metric: "p99 accepted", against: HEALTHY_ALONE };
  return {
    title: `isolation, ${Math.round(perSecond)} events/s for healthy subscribers, half of the capacity`,
    columns: [...LATENCY_COLUMNS, ...CPU_COLUMNS],
    measured,
    ratios: [
      withRatio(measured, { ...ratio, of: WITH_BAD, goal: "at most 1.5" }),
      withRatio(measured, { ...accepted, of: WITH_BAD, goal: "at most 1.5" }),
      withRatio(measured, { ...ratio, of: NOT_ISOLATED, goal: "none, it shows the difference" }),
    ],
  };
}

function inRounds(
  bench: Bench,
  database: Database,
  what: string,
  measure: (fleet: Fleet, contestant: Contestant) => Promise<Figures>,
): Promise<Measured[]> {
  const contenders = CONTESTANTS.map((contestant) => ({
    name: contestant.name,
    measure: () =>
      withFleet(bench, database, contestant.fleet, CROWD, async (fleet) => {
        await subscribeCrowd(fleet, contestant.policy);
        return measure(fleet, contestant);
      }),
  }));
  return measureInRounds(contenders, bench.rounds, (line) => bench.say(`dead and slow, ${what}: ${line}`));
}
