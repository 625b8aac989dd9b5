import { type Database, openDatabase } from "../support/database.ts";
import { drainBare, drainPostrider, drainTextbook } from "../support/drain.ts";
import { type Column, type Comparison, measureInRounds, withRatio } from "../support/rounds.ts";
import { TEXTBOOK_SCHEMA } from "../processes/textbook.ts";
import { scenario } from "./scenario.ts";
import type { Bench } from "./suite.ts";

const OURS = "Postrider";
const BARE = "bare POST loop";
const TEXTBOOK = "textbook";

export const deliver = scenario(
  "deliver",
  "a queued backlog drained by one worker, against a bare POST loop and against a job and six statements per delivery",
  async (bench, database) => {
    const textbook = await openDatabase(await bench.servers.createDatabase("bench_textbook"));
    try {
      await textbook.run(TEXTBOOK_SCHEMA);
      return [await compare(bench, database, textbook)];
    } finally {
      await textbook.close();
    }
  },
);

async function compare(bench: Bench, database: Database, textbook: Database): Promise<Comparison> {
  const deliveries = bench.isQuick ? 3_000 : 50_000;
  const title = `deliver, a backlog of ${deliveries} and one worker`;
  const contenders = [
    { name: OURS, measure: () => drainPostrider(bench, database, deliveries) },
    { name: TEXTBOOK, measure: () => drainTextbook(bench, textbook, deliveries) },
    { name: BARE, measure: () => drainBare(bench, deliveries) },
  ];
  const measured = await measureInRounds(contenders, bench.rounds, (line) => bench.say(`deliver: ${line}`));
  const ratio = (label: string, metric: string, against: string) =>
    withRatio(measured, { label, metric, of: OURS, against });
  return {
    title,
    columns: columns(database),
    measured,
    ratios: [
      ratio("delivered/s", "delivered/s", TEXTBOOK),
      ratio("delivered/s", "delivered/s", BARE),
      ratio("worker CPU per delivery", "cpu worker", TEXTBOOK),
      ratio("worker CPU per delivery", "cpu worker", BARE),
      ratio("Postgres CPU per delivery", "cpu postgres", TEXTBOOK),
      ratio("Redis CPU per delivery", "cpu redis", TEXTBOOK),
      ratio(`SQL ${database.unit} per event, accepted and delivered`, "sql", TEXTBOOK),
    ],
  };
}

const columns = ({ unit }: Database): Column[] => [
  { metric: "delivered/s", label: "delivered/s", digits: 0 },
  { metric: "repeats", label: "sent twice", digits: 0 },
  { metric: "cpu worker", label: "worker µs CPU/delivery", digits: 0 },
  { metric: "cpu postgres", label: "Postgres µs CPU/delivery", digits: 0 },
  { metric: "cpu redis", label: "Redis µs CPU/delivery", digits: 0 },
  { metric: "cpu receiver", label: "receiver µs CPU/delivery", digits: 0 },
  { metric: "sql accept", label: `SQL ${unit}/event, accepting`, digits: 3 },
  { metric: "sql deliver", label: `SQL ${unit}/event, delivering`, digits: 3 },
];
