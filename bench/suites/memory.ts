import { holdsWithin } from "@postrider/testkit/wait.ts";
import type { Target } from "../processes/event-source.ts";
import type { Behaviour } from "../processes/subscribers.ts";
import type { Database } from "../support/database.ts";
import { type Fleet, type FleetKind, withFleet } from "../support/fleet.ts";
import { readRedisMemory } from "../support/redis-memory.ts";
import { type Column, type Comparison, type Figures, measureInRounds } from "../support/rounds.ts";
import { scenario } from "./scenario.ts";
import type { Bench } from "./suite.ts";

const QUEUE_DEADLINE_MS = 180_000;
const SETTLE_DEADLINE_MS = 60_000;
const BATCH = 100;
const target = (number: number): Target => ({ tenant: "default", type: `bench.event-${number}`, number });

/** The memory of a process and of Redis for queued deliveries, waiting retries and requests in flight. */
export const memory = scenario(
  "memory",
  "Redis's bytes per queued delivery and per waiting retry, a worker's memory with 1,000 requests in flight",
  async (bench, database) => [
    await compareQueued(bench, database),
    await measureRetries(bench, database),
    await measureInFlight(bench, database),
  ],
);

const PER_DELIVERY: readonly Column[] = [
  { metric: "bytes", label: "Redis bytes per delivery (slope)", digits: 1 },
  { metric: "dataset", label: "Redis dataset in the end, kB", digits: 0 },
  { metric: "deliveries", label: "deliveries", digits: 0 },
];

async function compareQueued(bench: Bench, database: Database): Promise<Comparison> {
  const max = bench.isQuick ? 4_000 : 40_000;
  const shapes = [
    { name: `in batches of ${BATCH} (goal: at most 100)`, eventsPerRequest: BATCH, connections: 4 },
    { name: "single events, 64 connections", eventsPerRequest: 1, connections: 64 },
  ];
  const contenders = shapes.map(({ name, ...shape }) => ({
    name,
    measure: () =>
      withFleet(bench, database, { env: {} }, ["healthy"], async (fleet) => {
        const targets = await subscribeAll(fleet);
        return slope(bench, max, (events) => post(fleet, { ...shape, targets, events }));
      }),
  }));
  const measured = await measureInRounds(contenders, bench.rounds, (line) => bench.say(`memory, queued: ${line}`));
  return { title: "memory, deliveries that are queued", columns: PER_DELIVERY, measured, ratios: [] };
}

/** So many that no subscription reaches the breaker's threshold. */
const FAILING = 16;

/** Every delivery is tried once, fails, and waits for an hour. */
async function measureRetries(bench: Bench, database: Database): Promise<Comparison> {
  const max = bench.isQuick ? 1_000 : 10_000;
  const kind: FleetKind = { env: { RETRY_SCHEDULE: "1h", BREAKER_THRESHOLD: "1000" } };
  const behaviours = Array.from({ length: FAILING }, (): Behaviour => "failing");
  const measure = () =>
    withFleet(bench, database, kind, behaviours, async (fleet) => {
      const targets = await subscribeAll(fleet);
      await fleet.startWorkers(1);
      let waiting = 0;
      return slope(bench, max, async (events) => {
        await post(fleet, { targets, events, eventsPerRequest: BATCH, connections: 4 });
        waiting += events;
        const count = "select count(*)::int as count from deliveries where state = 'retrying'";
        if (!(await holdsWithin(SETTLE_DEADLINE_MS, 100, async () => (await database.count(count)) >= waiting))) {
          throw new Error(`${await database.count(count)} of ${waiting} deliveries wait for their retry`);
        }
      });
    });
  const contenders = [{ name: "Postrider", measure }];
  const measured = await measureInRounds(contenders, bench.rounds, (line) => bench.say(`memory, retries: ${line}`));
  return { title: "memory, retries that are waiting", columns: PER_DELIVERY, measured, ratios: [] };
}

/** Memory per delivery beyond the first tenth, which includes Redis's fixed costs. */
async function slope({ servers }: Bench, max: number, add: (deliveries: number) => Promise<void>): Promise<Figures> {
  const min = max / 10;
  const read = async () => {
    const { datasetBytes, eventStreamBytes } = await readRedisMemory(servers.redisUrl);
    return datasetBytes - eventStreamBytes;
  };
  await add(min);
  const before = await read();
  await add(max - min);
  const after = await read();
  return { bytes: (after - before) / (max - min), dataset: after / 1000, deliveries: max };
}

/** A subscription for each subscriber, with a type of its own. */
async function subscribeAll(fleet: Fleet): Promise<Target[]> {
  const targets = fleet.subscribers.urls.map((_, number) => target(number));
  for (const { type, number } of targets) {
    await fleet.subscribe({ url: fleet.subscribers.urls[number]!, eventTypes: [type] });
  }
  return targets;
}

interface Post {
  targets: readonly Target[];
  events: number;
  eventsPerRequest: number;
  connections: number;
}

async function post(fleet: Fleet, task: Post): Promise<void> {
  const source = await fleet.source({ ...task, isTraced: false });
  source.go();
  const { accepted } = await source.done(QUEUE_DEADLINE_MS);
  if (accepted < task.events) throw new Error(`${accepted} of ${task.events} events were accepted`);
}

const IN_FLIGHT = 1_000;
/** Four requests each: the limit of a subscriber that has not answered yet. */
const SLOW = IN_FLIGHT / 4;

async function measureInFlight(bench: Bench, database: Database): Promise<Comparison> {
  const behaviours = Array.from({ length: SLOW }, (): Behaviour => "slow");
  // A subscription may use at most half of a worker's slots.
  const kind: FleetKind = {
    env: { MAX_IN_FLIGHT: String(2 * IN_FLIGHT), DELIVERY_TIMEOUT: "15s", SHUTDOWN_DEADLINE: "20s" },
  };
  const measure = () =>
    withFleet(bench, database, kind, behaviours, async (fleet) => {
      const targets = await subscribeAll(fleet);
      await fleet.startWorkers(1);
      const idle = fleet.workerMemory();
      await post(fleet, { targets, events: IN_FLIGHT, eventsPerRequest: BATCH, connections: 4 });
      const received = async () => (await fleet.subscribers.count()).requests.reduce((sum, one) => sum + one, 0);
      const isThere = await holdsWithin(SETTLE_DEADLINE_MS, 50, async () => (await received()) >= IN_FLIGHT);
      const busy = fleet.workerMemory();
      if (!isThere) throw new Error(`${await received()} of ${IN_FLIGHT} requests came to be in flight`);
      return idle === undefined || busy === undefined
        ? {}
        : { idle: idle / 1e6, busy: busy / 1e6, each: (busy - idle) / IN_FLIGHT / 1e3 };
    });
  const measured = await measureInRounds([{ name: "Postrider", measure }], bench.rounds, (line) =>
    bench.say(`memory, in flight: ${line}`),
  );
  return {
    title: `memory, a worker with ${IN_FLIGHT} requests in flight`,
    columns: [
      { metric: "idle", label: "resident MB, just started", digits: 0 },
      { metric: "busy", label: "resident MB, with them", digits: 0 },
      { metric: "each", label: "kB per request", digits: 0 },
    ],
    measured,
    ratios: [],
  };
}
