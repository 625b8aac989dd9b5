import { type Env, type ManagedProcess, withProcesses } from "@postrider/testkit/processes/managed-process.ts";
import { flushRedis } from "@postrider/testkit/servers/redis.ts";
import { API_KEY, apiOf, postriderEnv, prepareStack, reset } from "../support/postrider.ts";
import { type Adopt, startProcess } from "../support/processes.ts";
import type { LoadReport, LoadTask, Turn } from "../processes/load-generator.ts";
import type { Listening } from "../processes/receiver.ts";
import { cpuPerEvent, readCpu } from "../support/cpu.ts";
import type { Database } from "../support/database.ts";
import { type Column, type Comparison, type Figures, measureInRounds, withRatio } from "../support/rounds.ts";
import { percentile } from "../support/statistics.ts";
import { scenario } from "./scenario.ts";
import type { Bench } from "./suite.ts";

/** Requests in flight. A batch is a megabyte; 64 of them would only measure a queue that fills. */
const SINGLE = { eventsPerRequest: 1, connections: 64 } as const;
const BATCHES = { eventsPerRequest: 100, connections: 8 } as const;
/** Small payloads separate the cost of a request from the cost of a byte. */
const SMALL_BYTES = 200;
const SHAPES: readonly Shape[] = [
  { title: "accept, single events", ...SINGLE },
  { title: "accept, batches of 100", ...BATCHES },
  { title: `accept, single events of ${SMALL_BYTES} B`, ...SINGLE, payloadBytes: SMALL_BYTES },
  { title: `accept, batches of 100 of ${SMALL_BYTES} B`, ...BATCHES, payloadBytes: SMALL_BYTES },
];

interface Shape {
  title: string;
  eventsPerRequest: number;
  connections: number;
  payloadBytes?: number;
}

const START_DEADLINE_MS = 30_000;

const OURS = "Postrider";
const BARE = "bare Express";
const UNGROUPED = "one statement per request";

export const accept = scenario(
  "accept",
  "events taken per second, single and in batches, against bare Express and against one statement per request",
  async (bench, database) => {
    const comparisons: Comparison[] = [];
    for (const shape of SHAPES) comparisons.push(await compare(bench, database, shape));
    return comparisons;
  },
);

async function compare(bench: Bench, database: Database, shape: Shape): Promise<Comparison> {
  const { title } = shape;
  const { servers, rounds, profileDir, say } = bench;
  const env = postriderEnv(database.url, servers.redisUrl);
  const against = (server: Contestant) => () => measure(bench, database, server, shape);
  const contenders = [
    { name: OURS, measure: against((adopt) => startOurs(env, adopt, profileDir)) },
    { name: UNGROUPED, measure: against((adopt) => startUngrouped(env, adopt)) },
    { name: BARE, measure: () => measure(bench, undefined, startExpress, shape) },
  ];
  const measured = await measureInRounds(contenders, rounds, (line) => say(`${title}: ${line}`));
  const ratio = (label: string, metric: string, against: string) =>
    withRatio(measured, { label, metric, of: OURS, against });
  return {
    title,
    columns: columns(database),
    measured,
    ratios: [
      ratio("accepted/s", "events/s", BARE),
      ratio("accepted/s", "events/s", UNGROUPED),
      ratio("p99", "p99", BARE),
      ratio("p99", "p99", UNGROUPED),
      ratio("server CPU per event", "cpu server", BARE),
      ratio("server CPU per event", "cpu server", UNGROUPED),
      ratio("Postgres CPU per event", "cpu postgres", UNGROUPED),
      ratio(`SQL ${database.unit} per event`, "sql", UNGROUPED),
    ],
  };
}

const columns = ({ unit }: Database): Column[] => [
  { metric: "events/s", label: "accepted/s", digits: 0 },
  { metric: "p50", label: "p50 ms", digits: 1 },
  { metric: "p99", label: "p99 ms", digits: 1 },
  { metric: "refused", label: "answered 503", digits: 0 },
  { metric: "cpu server", label: "server µs CPU/event", digits: 0 },
  { metric: "cpu postgres", label: "Postgres µs CPU/event", digits: 0 },
  { metric: "cpu redis", label: "Redis µs CPU/event", digits: 0 },
  { metric: "cpu load", label: "load generator µs CPU/event", digits: 0 },
  { metric: "sql", label: `SQL ${unit}/event`, digits: 3 },
];

type Contestant = (adopt: Adopt) => Promise<{ child: ManagedProcess; origin: string }>;

async function startOurs(env: Env, adopt: Adopt, profileDir: string | undefined) {
  const stack = await prepareStack(env, profileDir);
  return { child: adopt(await stack.startIngest()), origin: stack.api.baseUrl };
}

const startUngrouped = (env: Env, adopt: Adopt) =>
  listening(adopt(startProcess("ungrouped ingest", "ungrouped-ingest.ts", { env: { ...env, ADMIN_PORT: "0" } })));

const startExpress = (adopt: Adopt) => listening(adopt(startProcess("express server", "express-server.ts")));

async function listening(child: ManagedProcess) {
  const { port } = await child.next<Listening>("listening", START_DEADLINE_MS);
  return { child, origin: `http://127.0.0.1:${port}` };
}

/** @param database where the events are stored; undefined for a contender that stores nothing */
async function measure(
  { servers, isQuick }: Bench,
  database: Database | undefined,
  start: Contestant,
  { eventsPerRequest, connections, payloadBytes }: Shape,
): Promise<Figures> {
  if (database) await reset(database, servers.redisUrl);
  else await flushRedis(servers.redisUrl);
  return withProcesses(async (adopt) => {
    const { child, origin } = await start(adopt);
    // No worker runs in this suite, so nothing needs to listen there.
    if (database) await apiOf(origin).subscribe({ url: "http://127.0.0.1:9/hook" });
    // A new process needs five seconds to reach full speed.
    const times = isQuick ? { warmUpMs: 500, measureMs: 1_500 } : { warmUpMs: 7_000, measureMs: 5_000 };
    const sized = payloadBytes === undefined ? {} : { payloadBytes };
    const task: LoadTask = { origin, apiKey: API_KEY, connections, eventsPerRequest, ...sized, ...times };
    const load = adopt(startProcess("load generator", "load-generator.ts", { task }));
    const pids = { server: child.pid, load: load.pid, postgres: servers.postgresPid, redis: servers.redisPid };

    await load.next<Turn>("begin", START_DEADLINE_MS);
    const cpuBefore = readCpu(pids);
    const statementsBefore = await database?.countStatements();
    await load.next<Turn>("end", START_DEADLINE_MS);
    const cpuAfter = readCpu(pids);
    const statementsAfter = await database?.countStatements();
    const report = await load.next<LoadReport>("load", START_DEADLINE_MS);

    if (database) await refuseLoss(database, report.eventsInAll);
    const { events, refused, latenciesMs, durationMs } = report;
    if (events === 0) throw load.failure("had nothing accepted");
    return {
      "events/s": (events / durationMs) * 1000,
      p50: percentile(latenciesMs, 0.5),
      p99: percentile(latenciesMs, 0.99),
      refused,
      ...cpuPerEvent(cpuBefore, cpuAfter, events),
      ...(statementsBefore !== undefined && statementsAfter !== undefined
        ? { sql: (statementsAfter - statementsBefore) / events }
        : {}),
    };
  });
}

/** The figure of a server that loses events is worthless. */
async function refuseLoss(database: Database, accepted: number): Promise<void> {
  const events = await database.count("select count(*)::int as count from events");
  const deliveries = await database.count("select count(*)::int as count from deliveries");
  if (events !== accepted || deliveries !== accepted) {
    throw new Error(`${accepted} events were accepted; ${events} are stored, with ${deliveries} deliveries`);
  }
}
