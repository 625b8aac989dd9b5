import { holdsWithin } from "@postrider/testkit/wait.ts";
import { cpuPerEvent } from "../../support/cpu.ts";
import type { Database } from "../../support/database.ts";
import { type Fleet, type FleetKind, withFleet } from "../../support/fleet.ts";
import { type Comparison, type Figures, measureInRounds, withRatio } from "../../support/rounds.ts";
import { seedRetries, seedSubscriptions } from "../../support/seed.ts";
import { wallClock } from "../../support/wall-clock.ts";
import { scenario } from "../scenario.ts";
import type { Bench, Suite } from "../suite.ts";
import { seedBacklog, type Waiting } from "./seed.ts";
import { perSecond, steadiness, watchRedis } from "./watch.ts";

interface Case {
  /** The end of its suite's name. */
  name: string;
  about: string;
  title: string;
  waiting: Waiting;
  isQueued: boolean;
  size: { quick: number; full: number };
  env?: Record<string, string>;
}

const SIZE = { quick: 10_000, full: 200_000 };
const CASES: readonly Case[] = [
  {
    name: "queued",
    about: "200,000 queued jobs of one delivery each",
    title: "queued jobs",
    waiting: "dispatch",
    isQueued: true,
    size: SIZE,
  },
  {
    name: "retries",
    about: "200,000 retries due at once",
    title: "retries due at once",
    waiting: "retry",
    isQueued: true,
    size: SIZE,
  },
  {
    name: "emptied",
    about: "200,000 pending after Redis was emptied",
    title: "pending, Redis emptied",
    waiting: "dispatch",
    isQueued: false,
    size: SIZE,
  },
  {
    name: "expiry",
    about: "300,000 held deliveries that expire at once",
    title: "held deliveries that expire at once",
    waiting: "expiry",
    isQueued: false,
    size: { quick: 10_000, full: 300_000 },
    env: { HOLD_LIMIT: "1s", BREAKER_COOLDOWN: "500ms", WATCHDOG_INTERVAL: "5s" },
  },
];
const WORKERS = [2, 6] as const;
/** Retries of others that fall due while the backlog is worked on: so many in each of so many seconds. */
const OTHERS = { perSecond: 10, seconds: { quick: 5, full: 20 } };
/** From their insertion until the first of them is due. */
const STARTS_WITHIN_MS = 5_000;
const WITHIN_MS = 900_000;
const POLL_MS = 100;

const nameOf = (workers: number) => `${workers} workers`;

/** The effect of a large backlog on the rate, on Redis, on the watchdog and on other tenants' retries. */
export const backlog: readonly Suite[] = CASES.map((one) =>
  scenario(`backlog-${one.name}`, `${one.about}: the rate over time, others' retries`, async (bench, database) => [
    await compare(bench, database, one),
  ]),
);

async function compare(bench: Bench, database: Database, one: Case): Promise<Comparison> {
  const count = bench.backlog ?? one.size[bench.isQuick ? "quick" : "full"];
  const say = (line: string) => bench.say(`backlog, ${one.title}: ${line}`);
  const contenders = WORKERS.map((workers) => ({
    name: nameOf(workers),
    async measure() {
      const figures = await measure(bench, database, { ...one, count, workers });
      say(Object.entries(figures).map(([metric, value]) => `${metric} ${value.toFixed(2)}`).join(", ")); // prettier-ignore
      return figures;
    },
  }));
  const measured = await measureInRounds(contenders, bench.rounds, say);
  return {
    title: `backlog, ${count} ${one.title}`,
    columns: [
      { metric: "delivered/s", label: one.waiting === "expiry" ? "expired/s" : "delivered/s", digits: 0 },
      { metric: "median", label: "median of the windows, per second", digits: 0 },
      { metric: "cpu worker", label: "worker CPU, µs each", digits: 0 },
      { metric: "cpu postgres", label: "Postgres, µs", digits: 0 },
      { metric: "cpu redis", label: "Redis, µs", digits: 0 },
      { metric: "sql", label: "SQL statements each", digits: 2 },
      { metric: "warm", label: "until half of it is reached, s", digits: 2 },
      { metric: "slump", label: "longest below half after that, s", digits: 2 },
      { metric: "missing", label: "not finished in time", digits: 0 },
      { metric: "ping", label: "slowest PING, ms", digits: 0 },
      { metric: "watchdog", label: "longest run of the watchdog, s", digits: 1 },
      { metric: "late p99", label: "others' retries late, p99 s", digits: 2 },
      { metric: "late max", label: "slowest, s", digits: 2 },
    ],
    measured,
    ratios: [
      withRatio(measured, {
        label: "delivered/s",
        metric: "delivered/s",
        of: nameOf(6),
        against: nameOf(2),
        goal: "at least 0.75",
      }),
    ],
  };
}

type Size = Case & { count: number; workers: number };

function measure(bench: Bench, database: Database, size: Size): Promise<Figures> {
  const kind: FleetKind = { env: { ...size.env } };
  return withFleet(bench, database, kind, ["healthy", "healthy"], (fleet) => follow(bench, database, fleet, size));
}

async function follow(bench: Bench, database: Database, fleet: Fleet, size: Size): Promise<Figures> {
  const { redisUrl } = bench.servers;
  const [url, othersUrl] = fleet.subscribers.urls as [string, string];
  const { count, waiting, isQueued } = size;
  await seedBacklog(database, redisUrl, { url, count, waiting, isQueued });
  const due = await seedOthers(database, redisUrl, othersUrl, OTHERS.seconds[bench.isQuick ? "quick" : "full"]);
  const watch = watchRedis(redisUrl);
  const startedAt = wallClock();
  await fleet.startWorkers(size.workers);
  const [cpuBefore, sqlBefore] = [fleet.readCpu(), await database.countStatements()];
  const others = due.size;
  const isExpiry = waiting === "expiry";
  const counts: [at: number, expired: number][] = [[startedAt, 0]];
  const isComplete = await holdsWithin(WITHIN_MS, POLL_MS, async () => {
    if (isExpiry) {
      counts.push([
        wallClock(),
        await database.count("select count(*)::int as count from deliveries where state = 'dead'"),
      ]);
      return counts.at(-1)![1] >= count && (await fleet.subscribers.received()) >= others;
    }
    // The subscriptions of the backlog share an address, and their deliveries an event: only requests can be counted.
    const { requests } = await fleet.subscribers.count();
    return requests[0]! >= count && requests[1]! >= others;
  });
  const cost = {
    ...cpuPerEvent(cpuBefore, fleet.readCpu(), count),
    sql: ((await database.countStatements()) - sqlBefore) / count,
  };
  const { ids, times } = await fleet.subscribers.report();
  const late = lateness(due, ids, times);
  // Events of the backlog have many deliveries each, so their receipts are not told apart by id.
  const arrived = isExpiry ? [] : times.filter((_, index) => !due.has(ids[index]!));
  const rates = isExpiry ? expiryRate(counts) : steadiness(arrived, isComplete);
  if (!isExpiry) bench.say(`backlog, ${size.title}: in each second ${perSecond(arrived).join(" ")}`);
  return {
    ...rates,
    missing: isExpiry ? count - counts.at(-1)![1] : count - arrived.length,
    ...(await watch.stop()),
    ...cost,
    "late p99": late[Math.floor((late.length - 1) * 0.99)] ?? WITHIN_MS / 1000,
    "late max": late.at(-1) ?? WITHIN_MS / 1000,
  };
}

/** @returns when each of the others' retries is due, by the public id of its event */
async function seedOthers(
  database: Database,
  redisUrl: string,
  url: string,
  seconds: number,
): Promise<Map<string, number>> {
  const tenant = "others";
  const subscriptions = await seedSubscriptions(database, { tenant, url, count: OTHERS.perSecond });
  await database.run("update subscriptions set last_success_at = now()");
  const first = Date.now() + STARTS_WITHIN_MS;
  const events = Array.from({ length: OTHERS.perSecond * seconds }, (_, index) => ({
    tenant,
    subscriptions: [subscriptions[index % subscriptions.length]!],
    dueAt: first + (index * 1000) / OTHERS.perSecond,
  }));
  const ids = await seedRetries(database, redisUrl, events);
  return new Map(ids.map((id, index) => [id, events[index]!.dueAt]));
}

/** Seconds from due to the first receipt, ascending. */
function lateness(due: ReadonlyMap<string, number>, ids: readonly string[], times: readonly number[]): number[] {
  const found = new Map<string, number>();
  for (const [index, id] of ids.entries()) {
    if (due.has(id) && !found.has(id)) found.set(id, (times[index]! - due.get(id)!) / 1000);
  }
  return [...found.values()].toSorted((a, b) => a - b);
}

function expiryRate(counts: readonly [at: number, expired: number][]): Figures {
  const last = counts.at(-1)!;
  const from = counts.find(([, expired]) => expired > 0)?.[0] ?? counts[0]![0];
  const to = counts.find(([, expired]) => expired === last[1])![0];
  return { "delivered/s": (last[1] / Math.max(to - from, 1)) * 1000 };
}
