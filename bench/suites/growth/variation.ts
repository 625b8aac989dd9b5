import type { Database } from "../../support/database.ts";
import { drainBare } from "../../support/drain.ts";
import { withFleet } from "../../support/fleet.ts";
import { reset, resetButHistory } from "../../support/postrider.ts";
import { type Comparison, type Figures, measureInRounds, withRatio } from "../../support/rounds.ts";
import { makeDatabase } from "../scenario.ts";
import type { Bench, Suite } from "../suite.ts";
import { BEHAVIOURS, columns, drain, type Load, queueBacklog, subscribeAll, USUAL } from "./drain.ts";
import { insertOldDeliveries, insertSubscriptions, makePartitions } from "./rows.ts";

const DELIVERIES = { quick: 1_200, full: 30_000 };
/** More than the oldest partition's age, so that none is dropped. */
const RETENTION = { RETENTION_DAYS: "100" };

/** One thing that grows, and everything else as usual. */
interface Variation {
  name: string;
  about: string;
  cases: readonly Case[];
  /** The comparison with the first case; the delivery rate by default. */
  goal?: { metric: string; label: string; goal: string };
  /** The machine's own effect on each case, measured alongside. */
  baseline?: { name: (one: Case) => string; measure: (bench: Bench, load: Load) => Promise<Figures> };
}

interface Case {
  name: string;
  load?: Partial<Load>;
  /** Fills the tables beforehand; the rows stay. */
  history?: (database: Database, bench: Bench) => Promise<void>;
  /** Adds rows after the subscribers have subscribed. */
  whenSubscribed?: (database: Database) => Promise<void>;
}

const DELIVERED = { metric: "delivered/s", label: "delivered/s" };
const WITHIN_TENTH = { ...DELIVERED, goal: "0.9 to 1.1" };

/** @param past days with old deliveries; there are partitions for seven days ahead beside them, and today's */
const withHistory = (name: string, past: number, rows: { quick: number; full: number }): Case => ({
  name,
  async history(database, { isQuick, say }) {
    await makePartitions(database, past);
    await insertOldDeliveries(database, rows[isQuick ? "quick" : "full"], past, say);
  },
});
const FEW_ROWS = { quick: 10_000, full: 100_000 };

export const VARIATIONS: readonly Variation[] = [
  {
    name: "subscriptions-per-event",
    about: "1, 10 and 1,000 subscriptions that want each event",
    cases: [1, 10, 1_000].map((fanOut) => ({
      name: `${fanOut} per event`,
      load: { fanOut, tenants: 1, kinds: fanOut === 1 ? USUAL.kinds : 1 },
    })),
  },
  {
    name: "subscriptions",
    about: "10 and 100,000 subscriptions in the table",
    cases: [
      { name: "10 subscriptions", whenSubscribed: (database) => insertSubscriptions(database, 2) },
      { name: "100,000 subscriptions", whenSubscribed: (database) => insertSubscriptions(database, 100_000) },
    ],
  },
  {
    name: "workers",
    about: "1, 2 and 4 workers",
    // As many for each worker, because a new process is slower.
    cases: [1, 2, 4].map((workers) => ({
      name: `${workers} worker${workers === 1 ? "" : "s"}`,
      load: { workers, deliveries: DELIVERIES.full * workers },
    })),
    goal: { metric: "cpu worker", label: "worker CPU per delivery", goal: "at most 1.15" },
    // Processes that share two cores compete for caches and CPU time, whatever they run.
    baseline: {
      name: (one) => `bare POST loops instead of ${one.name}`,
      measure: (bench, { deliveries, workers }) => drainBare(bench, deliveries, workers),
    },
  },
  {
    name: "payload",
    about: "events of 200 B, 4 KiB and 100 KiB",
    cases: [
      { name: "200 B", load: { payloadBytes: 200 } },
      { name: "4 KiB", load: { payloadBytes: 4_096 } },
      { name: "100 KiB", load: { payloadBytes: 102_400, deliveries: 6_000 } },
    ],
  },
  {
    name: "subscribers",
    about: "8, 100 and 1,000 subscriptions that get the deliveries in turn",
    cases: [8, 100, 1_000].map((kinds) => ({ name: `${kinds} in turn`, load: { kinds } })),
  },
  {
    name: "tenants",
    about: "1, 100 and 1,000 tenants that the same 1,000 subscriptions belong to",
    cases: [1, 100, 1_000].map((tenants) => ({
      name: `${tenants} tenant${tenants === 1 ? "" : "s"}`,
      load: { tenants, kinds: 1_000 },
    })),
    goal: WITHIN_TENTH,
  },
  {
    name: "partitions",
    about: "14 and 100 daily partitions",
    cases: [withHistory("14 partitions", 6, FEW_ROWS), withHistory("100 partitions", 92, FEW_ROWS)],
    goal: WITHIN_TENTH,
  },
  {
    name: "history",
    about: "none and five million old deliveries",
    cases: [
      withHistory("no old deliveries", 20, { quick: 0, full: 0 }),
      withHistory("5 M old deliveries", 20, { quick: 20_000, full: 5_000_000 }),
    ],
    goal: WITHIN_TENTH,
  },
];

/** Compares every case with the first; each has a database of its own. */
export const variation = (one: Variation): Suite => ({
  name: `growth-${one.name}`,
  about: one.about,
  async run(bench) {
    const databases: Database[] = [];
    try {
      for (const { history } of one.cases) {
        const database = await makeDatabase(bench, `growth_${one.name}_${databases.length}`);
        databases.push(database);
        await history?.(database, bench);
      }
      return [await compareCases(bench, one, databases)];
    } finally {
      await Promise.all(databases.map((database) => database.close()));
    }
  },
});

async function compareCases(
  bench: Bench,
  { name, cases, goal, baseline }: Variation,
  databases: readonly Database[],
): Promise<Comparison> {
  const contenders = cases.map((one, index) => ({
    name: one.name,
    measure: () => measure(bench, databases[index]!, one),
  }));
  const beside = cases.flatMap((one) =>
    baseline ? [{ name: baseline.name(one), measure: () => baseline.measure(bench, loadOf(bench, one)) }] : [],
  );
  const measured = await measureInRounds([...contenders, ...beside], bench.rounds, (line) =>
    bench.say(`growth, ${name}: ${line}`),
  );
  const compared = (of: string, against: string, { goal, ...what }: { metric: string; label: string; goal?: string }) =>
    withRatio(measured, { ...what, ...(goal === undefined ? {} : { goal }), of, against });
  const [first, ...others] = cases as [Case, ...Case[]];
  return {
    title: `growth, ${name}`,
    columns: columns(databases[0]!),
    measured,
    ratios: others.flatMap((one) => [
      compared(one.name, first.name, goal ?? { ...DELIVERED, label: `delivered/s, ${one.name}` }),
      ...(baseline && goal
        ? [
            compared(baseline.name(one), baseline.name(first), {
              metric: goal.metric,
              label: `the same, ${baseline.name(one)}`,
            }),
          ]
        : []),
    ]),
  };
}

function loadOf({ isQuick }: Bench, { load }: Case): Load {
  const wanted = load?.deliveries ?? DELIVERIES.full;
  return { ...USUAL, ...load, deliveries: isQuick ? Math.min(wanted, DELIVERIES.quick) : wanted };
}

function measure(bench: Bench, database: Database, one: Case): Promise<Figures> {
  const { history, whenSubscribed } = one;
  const whole = loadOf(bench, one);
  const kind = { env: RETENTION, prepare: history ? resetButHistory : reset };
  return withFleet(bench, database, kind, BEHAVIOURS, async (fleet) => {
    await subscribeAll(fleet, whole);
    await whenSubscribed?.(database);
    await queueBacklog(fleet, whole);
    return drain(fleet, database, whole);
  });
}
