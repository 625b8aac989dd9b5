import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { flushRedis } from "@postrider/testkit/servers/redis.ts";
import type { ReadersReport, ReadersTask } from "../../processes/readers.ts";
import type { Database } from "../../support/database.ts";
import { withFleet } from "../../support/fleet.ts";
import { startProcess } from "../../support/processes.ts";
import { type Comparison, type Figures, measureInRounds, withRatio } from "../../support/rounds.ts";
import { percentile } from "../../support/statistics.ts";
import type { Bench } from "../suite.ts";
import { LARGE_TENANT, SMALL_TENANT } from "./seed.ts";

const READERS = 25;
const PER_SECOND = 100;
const SECONDS = { quick: 5, full: 20 };
const WARM_UP_MS = 3_000;
const START_DEADLINE_MS = 30_000;
const ALONE = "posts alone";
interface Read {
  name: string;
  tenant: string;
  path: string;
}

/** What readers with a key of one tenant ask for. */
const READS: readonly Read[] = [
  { name: `${READERS} readers of a small tenant's list`, tenant: SMALL_TENANT, path: "/v1/deliveries" },
  {
    name: `${READERS} readers of a large tenant's list that finds nothing`,
    tenant: LARGE_TENANT,
    path: "/v1/deliveries?status=cancelled",
  },
];

/** What others' posts cost while one tenant's key reads lists without a pause. */
export async function compareReaders(bench: Bench, database: Database): Promise<Comparison> {
  const contenders = [
    { name: ALONE, measure: () => measure(bench, database, undefined) },
    ...READS.map((read) => ({ name: read.name, measure: () => measure(bench, database, read) })),
  ];
  const measured = await measureInRounds(contenders, bench.rounds, (line) => bench.say(`large-tables: ${line}`));
  const ratio = (metric: string, of: string) =>
    withRatio(measured, { label: metric, metric, of, against: ALONE, goal: "at most 1.5" });
  return {
    title: `posts of others (${PER_SECOND}/s) beside ${READERS} readers of one tenant`,
    columns: [
      { metric: "p50", label: "p50 ms to 202", digits: 1 },
      { metric: "p99", label: "p99 ms to 202", digits: 1 },
      { metric: "refused", label: "posts answered 503", digits: 0 },
      { metric: "reads", label: "lists/s", digits: 0 },
      { metric: "reads refused", label: "reads answered 429", digits: 0 },
      { metric: "reads unavailable", label: "reads answered 503", digits: 0 },
      { metric: "not ready", label: "/readyz 503", digits: 0 },
    ],
    measured,
    ratios: READS.map(({ name }) => ratio("p99", name)),
  };
}

/** Inserts a read-only key. */
async function insertKey(database: Database, tenant: string): Promise<string> {
  const key = randomBytes(24).toString("hex");
  const hash = createHash("sha256").update(key).digest("hex");
  await database.run(
    `insert into api_keys (id, name, hash, scopes, tenant)
     values (gen_random_uuid(), 'reader', '\\x${hash}', '{read}', '${tenant}')`,
  );
  return key;
}

async function measure(bench: Bench, database: Database, read: Read | undefined): Promise<Figures> {
  const apiKey = read ? await insertKey(database, read.tenant) : "";
  const kind = { env: {}, prepare: (_database: Database, redisUrl: string) => flushRedis(redisUrl) };
  return withFleet(bench, database, kind, [], async (fleet) => {
    const { api, adopt } = fleet;
    const seconds = SECONDS[bench.isQuick ? "quick" : "full"];
    const targets = Array.from({ length: 100 }, (_, n) => ({
      tenant: `tenant-${n + 100}`,
      type: "bench.large",
      number: n,
    }));
    const events = Math.round(PER_SECOND * (seconds + WARM_UP_MS / 1_000));
    const posts = await fleet.source({ targets, events, eventsPerRequest: 1, payloadBytes: 500, connections: 32, perSecond: PER_SECOND, isTraced: true }); // prettier-ignore
    const task: ReadersTask = { origin: api.baseUrl, apiKey, path: read?.path ?? "", readers: read ? READERS : 0 };
    const readers = adopt(startProcess("readers", "readers.ts", { task }));
    await readers.next("ready", START_DEADLINE_MS);
    const startedAt = performance.now();
    posts.go();
    let notReady = 0;
    while (performance.now() - startedAt < seconds * 1_000) {
      if ((await api.call("GET", "/readyz")).status !== 200) notReady += 1;
      await sleep(1_000);
    }
    const offered = await posts.done(START_DEADLINE_MS);
    readers.send({ kind: "stop" });
    const answers = await readers.next<ReadersReport>("read", START_DEADLINE_MS);
    const measuredFrom = offered.sentTimes[0]! + WARM_UP_MS;
    const times = offered.acceptedTimes
      .map((acceptedAt, index) => ({ sentAt: offered.sentTimes[index]!, ms: acceptedAt - offered.sentTimes[index]! }))
      .filter(({ sentAt }) => sentAt >= measuredFrom)
      .map(({ ms }) => ms);
    const lasted = (performance.now() - startedAt) / 1_000;
    return {
      p50: percentile(times, 0.5),
      p99: percentile(times, 0.99),
      refused: offered.refused,
      reads: answers.answered / lasted,
      "reads refused": answers.refused,
      "reads unavailable": answers.unavailable,
      "not ready": notReady,
    };
  });
}
