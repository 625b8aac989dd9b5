import { setTimeout as sleep } from "node:timers/promises";
import { holdsWithin } from "@postrider/testkit/wait.ts";
import type { Behaviour } from "../../processes/subscribers.ts";
import type { Database } from "../../support/database.ts";
import { type Fleet, withFleet } from "../../support/fleet.ts";
import { firstReceipts } from "../../support/receipts.ts";
import { type Comparison, type Figures, measureInRounds, withRatio } from "../../support/rounds.ts";
import { seedRetries, seedSubscriptions, type FailedEvent } from "../../support/seed.ts";
import { percentile } from "../../support/statistics.ts";
import { LATENCY_COLUMNS, measureLatencies } from "../../support/steady-load.ts";
import { wallClock } from "../../support/wall-clock.ts";
import type { Bench } from "../suite.ts";
import { scenario } from "../scenario.ts";
import { ISOLATED } from "./isolated.ts";

const NEIGHBOURS = 20;
const PER_SECOND = 5;
const WARM_UP_MS = 2_000;
const SECONDS = { quick: 5, full: 10 };
const PATIENCE_MS = 60_000;
const CONNECTIONS = 64;
const GOAL = "p99 under 1 s";

/** The neighbours' subscribers; the last one is the flooding tenant's. */
const BEHAVIOURS = Array.from({ length: NEIGHBOURS + 1 }, (): Behaviour => "healthy");
const FLOOD = "flood";
const neighbour = (number: number): string => `neighbour-${number}`;
const TARGETS = Array.from({ length: NEIGHBOURS }, (_, number) => ({
  tenant: neighbour(number),
  type: "bench.event",
  number,
}));

interface Flood {
  name: string;
  /** Subscriptions of the flooding tenant. */
  subscriptions: number;
  events: number;
  dataBytes: number;
}

const ALONE: Flood = { name: "neighbours alone", subscriptions: 0, events: 0, dataBytes: 0 };
const FLOODS: readonly Flood[] = [
  ALONE,
  { name: "one event for 20,000 subscriptions", subscriptions: 20_000, events: 1, dataBytes: 100 },
  { name: "three events of 250 KiB for 1,000 subscriptions", subscriptions: 1_000, events: 3, dataBytes: 250 * 1024 },
];

const RETRIES_ALONE = "neighbours' retries alone";
const RETRIES_FLOODED = "50,000 retries of another tenant due in one second";
const FLOOD_RETRIES = { subscriptions: 1_000, events: 50 };
/** Seeding 50,000 jobs takes most of it. */
const SEEDING_MS = 60_000;
const START_MS = 8_000;

/** What neighbours wait beside another tenant's flood, of the three kinds that reach the lanes at once. */
export const fairness = scenario(
  "isolation-fairness",
  `${NEIGHBOURS} tenants with ${PER_SECOND} events/s beside a large fan-out, large bodies, and retries due at once`,
  async (bench, database) => [await compareFloods(bench, database), await compareRetries(bench, database)],
);

async function compareFloods(bench: Bench, database: Database): Promise<Comparison> {
  const contenders = FLOODS.map((flood) => ({
    name: flood.name,
    measure: () => measureBeside(bench, database, flood),
  }));
  const measured = await measureInRounds(contenders, bench.rounds, (line) => bench.say(`fairness: ${line}`));
  return {
    title: `fairness, ${NEIGHBOURS * PER_SECOND} events/s of neighbours from the moment of the flood`,
    columns: LATENCY_COLUMNS,
    measured,
    ratios: FLOODS.slice(1).map(({ name }) =>
      withRatio(measured, { label: "p99 from POST", metric: "p99", of: name, against: ALONE.name, goal: GOAL }),
    ),
  };
}

function measureBeside(bench: Bench, database: Database, flood: Flood): Promise<Figures> {
  return withTenants(bench, database, async (fleet) => {
    const url = fleet.subscribers.urls.at(-1)!;
    if (flood.subscriptions > 0) {
      await seedSubscriptions(database, { tenant: FLOOD, url, count: flood.subscriptions });
    }
    await fleet.startWorkers();
    const measureMs = SECONDS[bench.isQuick ? "quick" : "full"] * 1000;
    const perSecond = NEIGHBOURS * PER_SECOND;
    const events = (perSecond * (WARM_UP_MS + measureMs)) / 1000;
    const source = await fleet.source({
      targets: TARGETS,
      events,
      eventsPerRequest: 1,
      connections: CONNECTIONS,
      perSecond,
      isTraced: true,
    });
    const event = { tenant: FLOOD, type: "bench.event", data: "x".repeat(flood.dataBytes) };
    const times = { warmUpMs: WARM_UP_MS, measureMs, patienceMs: PATIENCE_MS };
    return measureLatencies(fleet, source, { counted: NEIGHBOURS, expected: events }, times, {
      begin: () => {
        for (let posted = 0; posted < flood.events; posted += 1) void fleet.api.send(event);
      },
    });
  });
}

async function compareRetries(bench: Bench, database: Database): Promise<Comparison> {
  const contenders = [
    { name: RETRIES_ALONE, measure: () => measureRetries(bench, database, false) },
    { name: RETRIES_FLOODED, measure: () => measureRetries(bench, database, true) },
  ];
  const measured = await measureInRounds(contenders, bench.rounds, (line) => bench.say(`fairness: ${line}`));
  const ratio = { label: "p99 from due", metric: "p99", of: RETRIES_FLOODED, against: RETRIES_ALONE, goal: GOAL };
  return {
    title: `fairness, ${NEIGHBOURS * PER_SECOND} retries/s of neighbours from the second of the flood`,
    columns: [
      { metric: "p50", label: "p50 ms from due", digits: 1 },
      { metric: "p99", label: "p99 ms from due", digits: 1 },
      { metric: "max", label: "max ms", digits: 1 },
      { metric: "missing", label: "not received in time", digits: 0 },
      { metric: "flood", label: "s until the flood was delivered", digits: 1 },
    ],
    measured,
    ratios: [withRatio(measured, ratio)],
  };
}

/** The retries are inserted with their jobs, because failing 50,000 deliveries would spread them over half a minute. */
function measureRetries(bench: Bench, database: Database, hasFlood: boolean): Promise<Figures> {
  return withTenants(bench, database, async (fleet, own) => {
    const seconds = SECONDS[bench.isQuick ? "quick" : "full"];
    const url = fleet.subscribers.urls.at(-1)!;
    const dueAt = Date.now() + (hasFlood ? SEEDING_MS : START_MS);
    const flood: FailedEvent[] = [];
    if (hasFlood) {
      const { subscriptions, events } = FLOOD_RETRIES;
      const ids = await seedSubscriptions(database, { tenant: FLOOD, url, count: subscriptions });
      for (let event = 0; event < events; event += 1) {
        flood.push({ tenant: FLOOD, subscriptions: ids, dueAt: dueAt + (event * 1_000) / events });
      }
    }
    await seedRetries(database, bench.servers.redisUrl, flood);
    const dueTimes = new Map<string, number>();
    const failed = own.flatMap((id, number) =>
      Array.from({ length: seconds * PER_SECOND }, (_, index) => ({
        tenant: neighbour(number),
        subscriptions: [id],
        dueAt: dueAt + (index * 1_000 + number * 10) / PER_SECOND,
      })),
    );
    const ids = await seedRetries(database, bench.servers.redisUrl, failed);
    for (const [index, id] of ids.entries()) dueTimes.set(id, failed[index]!.dueAt);
    if (Date.now() > dueAt - START_MS / 2) bench.say("fairness: seeding took too long; the figures are too good");
    await fleet.startWorkers();
    await sleep(Math.max(0, dueAt - Date.now()));
    const floodSize = flood.reduce((sum, { subscriptions }) => sum + subscriptions.length, 0);
    const received = async () => (await fleet.subscribers.received(NEIGHBOURS)) >= ids.length;
    await holdsWithin(seconds * 1_000 + PATIENCE_MS, 100, received);
    // Distinct events are counted there, so all requests are counted here.
    const flooded = async () => (await fleet.subscribers.count()).requests.at(-1)! >= floodSize;
    await holdsWithin(2 * PATIENCE_MS, 100, flooded);
    const endMs = wallClock();
    const first = firstReceipts(await fleet.subscribers.report());
    const late = ids.map((id) => (first.get(id) ?? endMs) - dueTimes.get(id)!);
    return {
      p50: percentile(late, 0.5),
      p99: percentile(late, 0.99),
      max: Math.max(...late),
      missing: ids.filter((id) => !first.has(id)).length,
      ...(hasFlood ? { flood: (endMs - dueAt) / 1_000 } : {}),
    };
  });
}

/** @param work gets the ids of the neighbours' subscriptions, without their prefix */
function withTenants<T>(
  bench: Bench,
  database: Database,
  work: (fleet: Fleet, subscriptions: string[]) => Promise<T>,
): Promise<T> {
  return withFleet(bench, database, ISOLATED, BEHAVIOURS, async (fleet) => {
    const ids: string[] = [];
    for (let number = 0; number < NEIGHBOURS; number += 1) {
      const url = fleet.subscribers.urls[number]!;
      ids.push(...(await seedSubscriptions(database, { tenant: neighbour(number), url, count: 1 })));
    }
    return work(fleet, ids);
  });
}
