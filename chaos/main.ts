import { readArguments, refuseArguments, wholeNumber } from "../scripts/arguments.ts";
import { FAULT_NAMES, FAULTS, makePlan, type FaultName } from "./plan.ts";
import { describePlan, describeResult } from "./report.ts";
import { runChaos } from "./run.ts";
import { SUBSCRIBERS } from "./subscribers.ts";

const HELP = `Usage: npm run chaos [-- --seed N --events N --rate N --faults a,b,c --rounds N --workers N --keep]

Runs ingest and workers on a PostgreSQL and a Redis of their own, posts events at a steady rate, and injects one fault
after another. At the end a ledger compares the accepted events with the received deliveries. Exit code 1 if anything
was lost, if more deliveries arrived twice than the faults explain, or if deliveries took longer than the bounds of
chaos/latency.ts.

  --seed N      the same seed gives the same plan (default: from the clock, and printed)
  --events N    minimum number of events (default 5000); the load continues until the last fault is over
  --rate N      events a second (default 100)
  --faults LIST of these, all by default:
${FAULT_NAMES.map((name) => `                  ${name.padEnd(21)} ${FAULTS[name].about}`).join("\n")}
  --rounds N    how often each fault is injected (default 1)
  --workers N   (default 2)
  --keep        keep the logs of a run that passed, too
  --help
`;

const { values } = readArguments(HELP, {
  seed: { type: "string", default: String(Date.now() % 1_000_000) },
  events: { type: "string", default: "5000" },
  rate: { type: "string", default: "100" },
  faults: { type: "string", default: FAULT_NAMES.join(",") },
  rounds: { type: "string", default: "1" },
  workers: { type: "string", default: "2" },
  keep: { type: "boolean", default: false },
});

const seed = number("seed", 0, 2 ** 32 - 1);
const events = number("events", 1, 10_000_000);
const rate = number("rate", 1, 100_000);
const rounds = number("rounds", 1, 1_000);
const workers = number("workers", 1, 64);
const faults = faultList(values.faults);
const plan = makePlan(seed, { faults, rounds, workers, subscribers: SUBSCRIBERS.length });
const again = `npm run chaos -- --seed ${seed} --events ${events} --rate ${rate} --rounds ${rounds} --workers ${workers} --faults ${faults.join(",")}`;
console.log(describePlan(seed, plan));

const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stopping.abort());
try {
  const result = await runChaos({
    seed,
    events,
    rate,
    workers,
    plan,
    keep: values.keep,
    progress,
    signal: stopping.signal,
  });
  console.log(describeResult(result));
  if (result.logFolder !== undefined) console.log(`logs and evidence: ${result.logFolder}`);
  console.log(`again: ${again}`);
  process.exitCode = result.passed && !stopping.signal.aborted ? 0 : 1;
} catch (error) {
  console.error(`the run itself failed: ${(error as Error).stack}\nagain: ${again}`);
  process.exitCode = 1;
}

/** One line that is rewritten on a terminal; elsewhere a line for each fault, start and stop. */
function progress(line: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\u001B[K${line}`);
  else if (/^(fault|starting|stopping)/.test(line)) console.log(line);
}

function number(name: "seed" | "events" | "rate" | "rounds" | "workers", min: number, max: number): number {
  return wholeNumber(name, values[name], HELP, min, max)!;
}

function faultList(list: string): FaultName[] {
  const names = list.split(",").map((name) => name.trim());
  const unknown = names.filter((name) => !FAULT_NAMES.includes(name as FaultName));
  if (unknown.length === 0) return names as FaultName[];
  return refuseArguments(`no such fault: ${unknown.join(", ")}`, HELP);
}
