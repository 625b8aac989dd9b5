import type { Target } from "../../processes/event-source.ts";
import type { Behaviour } from "../../processes/subscribers.ts";
import type { Database } from "../../support/database.ts";
import { type Fleet, type FleetKind, withFleet } from "../../support/fleet.ts";
import { type Comparison, type Figures, measureInRounds, withRatio } from "../../support/rounds.ts";
import type { Bench } from "../suite.ts";
import { measureCapacity } from "../../support/backlog.ts";
import { scenario } from "../scenario.ts";
import { ISOLATED } from "./isolated.ts";
import { LATENCY_COLUMNS, measureLatencies } from "../../support/steady-load.ts";

const LIGHT = 20;
const LIGHT_PER_SECOND = 5;
const WARM_UP_MS = 2_000;
const SECONDS = { quick: 4, full: 10 };
const PATIENCE_MS = { quick: 30_000, full: 60_000 };
/** The flood's rate, as a multiple of the deliverable rate. */
const FLOOD = 3;
const CAPACITY_TURNS = { quick: 30, full: 120 };
const CAPACITY_DEADLINE_MS = 60_000;
const BATCH = 100;
const FLOOD_CONNECTIONS = 16;
const LIGHT_CONNECTIONS = 128;

/**
 * Slots are the bottleneck and not the processors, as with remote subscribers: 64 slots at 100 ms each are 640
 * deliveries per second, and three times that can be posted at the same time. If the processors were the bottleneck,
 * the flood would slow down its own posting and everything else.
 */
const KIND: FleetKind = { env: { ...ISOLATED.env, MAX_IN_FLIGHT: "32" }, healthyMs: 100 };

const CALM = "without the flood";
const FLOODED = "with the flood";

/** The light tenants' subscribers; the last one is the flooding tenant's. */
const BEHAVIOURS = Array.from({ length: LIGHT + 1 }, (): Behaviour => "healthy");
const target = (number: number): Target => ({ tenant: `tenant-${number}`, type: "bench.event", number });
const LIGHT_TARGETS = Array.from({ length: LIGHT }, (_, number) => target(number));
const FLOOD_BATCH = Array.from({ length: BATCH }, () => target(LIGHT));

/** The cost of one tenant's flood for the other tenants. */
export const flood = scenario(
  "isolation-flood",
  `${LIGHT} tenants with ${LIGHT_PER_SECOND} events/s each while another posts ${FLOOD} times the deliverable rate`,
  async (bench, database) => {
    const seconds = bench.floodSeconds ?? SECONDS[bench.isQuick ? "quick" : "full"];
    const capacity = await measureFloodAlone(bench, database);
    bench.say(`flood: ${Math.round(capacity)} events/s can be delivered; ${FLOOD} times that are offered`);
    const contenders = [
      { name: CALM, measure: () => measure(bench, database, seconds, undefined) },
      { name: FLOODED, measure: () => measure(bench, database, seconds, capacity) },
    ];
    const measured = await measureInRounds(contenders, bench.rounds, (line) => bench.say(`flood: ${line}`));
    const goal = "at most 2, or under 250 ms where that is more";
    const ratio = (label: string, metric: string) =>
      withRatio(measured, { label, metric, of: FLOODED, against: CALM, goal });
    const comparison: Comparison = {
      title: `isolation, ${LIGHT} light tenants during ${seconds} s of another's flood`,
      columns: [
        ...LATENCY_COLUMNS,
        { metric: "flood/s", label: "flood accepted/s", digits: 0 },
        { metric: "flood share", label: "flood accepted ÷ deliverable", digits: 1 },
      ],
      measured,
      ratios: [
        ratio("light tenants' p50 from POST", "p50"),
        ratio("light tenants' p99 from POST", "p99"),
        ratio("light tenants' p99 from 202", "p99 accepted"),
      ],
    };
    return [comparison];
  },
);

/** The delivery rate under the flood alone. */
function measureFloodAlone(bench: Bench, database: Database): Promise<number> {
  bench.say("flood: measuring the deliverable rate");
  return withTenants(bench, database, (fleet) =>
    measureCapacity(fleet, {
      targets: FLOOD_BATCH,
      turns: CAPACITY_TURNS[bench.isQuick ? "quick" : "full"],
      healthy: BATCH,
      withinMs: CAPACITY_DEADLINE_MS,
    }),
  );
}

/** @param capacity deliverable events per second; undefined for no flood */
function measure(bench: Bench, database: Database, seconds: number, capacity: number | undefined): Promise<Figures> {
  return withTenants(bench, database, async (fleet) => {
    await fleet.startWorkers();
    const perSecond = LIGHT * LIGHT_PER_SECOND;
    const expected = perSecond * (WARM_UP_MS / 1000 + seconds);
    const light = await fleet.source({
      targets: LIGHT_TARGETS,
      events: expected,
      eventsPerRequest: 1,
      connections: LIGHT_CONNECTIONS,
      perSecond,
      isTraced: true,
    });
    const flooding = capacity === undefined ? undefined : await startFlood(fleet, capacity * FLOOD, seconds);
    const times = {
      warmUpMs: WARM_UP_MS,
      measureMs: seconds * 1000,
      patienceMs: PATIENCE_MS[bench.isQuick ? "quick" : "full"],
    };
    const figures = await measureLatencies(fleet, light, { counted: LIGHT, expected }, times, {
      begin: () => flooding?.go(),
    });
    if (!flooding || capacity === undefined) return figures;
    const { accepted, durationMs } = await flooding.done(CAPACITY_DEADLINE_MS);
    const floodPerSecond = (accepted / durationMs) * 1000;
    return { ...figures, "flood/s": floodPerSecond, "flood share": floodPerSecond / capacity };
  });
}

function startFlood(fleet: Fleet, perSecond: number, seconds: number) {
  return fleet.source({
    targets: FLOOD_BATCH,
    events: Math.ceil(perSecond * seconds),
    eventsPerRequest: BATCH,
    connections: FLOOD_CONNECTIONS,
    perSecond,
    // The flood ends on time: events that ingest could not take are not posted later.
    stopAfterMs: seconds * 1000,
    isTraced: false,
  });
}

function withTenants<T>(bench: Bench, database: Database, work: (fleet: Fleet) => Promise<T>): Promise<T> {
  return withFleet(bench, database, KIND, BEHAVIOURS, async (fleet) => {
    for (const [number, url] of fleet.subscribers.urls.entries()) {
      await fleet.subscribe({ url, tenant: target(number).tenant });
    }
    return work(fleet);
  });
}
