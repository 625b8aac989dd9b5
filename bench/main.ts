import { readArguments, refuseArguments, wholeNumber } from "../scripts/arguments.ts";
import { describeMachine } from "./support/machine.ts";
import { RESULTS_DIR, type Run, toMarkdown, writeResults } from "./support/report.ts";
import { startServers } from "./support/servers.ts";
import { SUITES } from "./suites/index.ts";

const HELP = `Usage: npm run bench -- [suite…] [--rounds N] [--quick] [--profile]

Measures Postrider against plain baselines, each in processes of its own, on a PostgreSQL
and a Redis of the benchmark's own with durable settings. Without a suite, all of them:

${SUITES.map(({ name, about }) => `  ${name.padEnd(26)}${about}`).join("\n")}

"isolation" and "backlog" are all those whose names begin with it.

  --rounds N  how often each contender is measured (default 3)
  --quick     one short round: whether it works, and a rough figure
  --profile   CPU profiles of Postrider's processes, in bench/results/ (they cost time: do not compare then)
  --flood-seconds N
              how long the flood of isolation-flood lasts (1 to 60)
  --backlog N how much waits in each suite of backlog (1,000 to 1,000,000)
  --deliveries N
              how many deliveries large-tables has (default 10 million; --quick: 100,000)
  --help

Results are printed and written to bench/results/.
`;

const { values, positionals } = readArguments(
  HELP,
  {
    rounds: { type: "string" },
    quick: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
    "flood-seconds": { type: "string" },
    backlog: { type: "string" },
    deliveries: { type: "string" },
  },
  { positionals: true },
);
const isMeant = (suite: string, asked: string) => suite === asked || suite.startsWith(`${asked}-`);
const suites = SUITES.filter(
  ({ name }) => positionals.length === 0 || positionals.some((asked) => isMeant(name, asked)),
);
const unknown = positionals.filter((asked) => !SUITES.some(({ name }) => isMeant(name, asked)));
if (unknown.length > 0) refuseArguments(`there is no suite ${unknown.join(", ")}`, HELP);
const rounds = wholeNumber("rounds", values.rounds, HELP, 1, 100) ?? (values.quick ? 1 : 3);
const floodSeconds = wholeNumber("flood-seconds", values["flood-seconds"], HELP, 1, 60);
const backlog = wholeNumber("backlog", values.backlog, HELP, 1_000, 1_000_000);
const deliveries = wholeNumber("deliveries", values.deliveries, HELP, 10_000);

const startedAt = new Date();
const elapsedS = () => (Date.now() - startedAt.getTime()) / 1000;
const say = (line: string) => void process.stderr.write(`${elapsedS().toFixed(0).padStart(4)} s  ${line}\n`);
const servers = await startServers();
try {
  const bench = {
    servers,
    rounds,
    isQuick: values.quick,
    floodSeconds,
    backlog,
    deliveries,
    profileDir: values.profile ? RESULTS_DIR : undefined,
    say,
  };
  const machine = describeMachine(servers);
  const results: Run["suites"][number][] = [];
  for (const suite of suites) results.push({ suite: suite.name, comparisons: await suite.run(bench) });
  const run: Run = {
    command: ["npm run bench --", ...process.argv.slice(2)].join(" "),
    startedAt: startedAt.toISOString(),
    durationS: elapsedS(),
    machine,
    rounds,
    suites: results,
  };
  const files = writeResults(run);
  console.log(toMarkdown(run));
  say(`written: ${files.join(", ")}`);
} finally {
  await servers.stop();
}
