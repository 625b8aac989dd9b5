import { readArguments, wholeNumber } from "../scripts/arguments.ts";
import { describeFinding, describeResult } from "./report.ts";
import { type Range, runFuzz } from "./run.ts";

const HELP = `Usage: npm run fuzz [-- --calls N --answers N --seed N --from N --only N --only-answer N --keep]

Runs ingest, a worker and the console on a PostgreSQL and a Redis of their own. Sends generated and mutated requests
to the API, the console and the admin ports with eleven kinds of keys, then delivers to a receiver that answers with
generated and mutated bytes. Exit code 1 if there was a 500 or another 5xx without a reason, no answer, a crash, growth,
an error that is not problem+json, data of another tenant, a secret in a log or an answer, or a wrong final state.

  --calls N        how many requests (default 10000)
  --answers N      how many answers of the receiver (default 4000)
  --seed N         the same seed gives the same calls and answers (default: from the clock, and printed)
  --from N         begins with this call and this answer (default 0), to run a long sequence in pieces
  --only N         sends this call of the seed and nothing else
  --only-answer N  gives this answer of the seed and nothing else
  --keep           keep the logs of a run that passed, too
  --help
`;

const { values } = readArguments(HELP, {
  calls: { type: "string" },
  answers: { type: "string" },
  seed: { type: "string" },
  from: { type: "string" },
  only: { type: "string" },
  "only-answer": { type: "string" },
  keep: { type: "boolean", default: false },
});
const number = (name: "calls" | "answers" | "seed" | "from" | "only" | "only-answer", max = 100_000_000) =>
  wholeNumber(name, values[name], HELP, 0, max);
const seed = number("seed", 2 ** 32 - 1) ?? Date.now() % 1_000_000;
const from = number("from") ?? 0;
const only = number("only");
const onlyAnswer = number("only-answer");
const isOne = only !== undefined || onlyAnswer !== undefined;
const calls = range(only, number("calls") ?? 10_000);
const answers = range(onlyAnswer, number("answers") ?? 4_000);
process.stdout.write(`seed ${seed}\n`);

const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stopping.abort());
try {
  const result = await runFuzz({
    seed,
    calls,
    answers,
    keep: values.keep,
    progress,
    onFinding: (finding) => process.stdout.write(`\nfound: ${finding.kind}\n${describeFinding(finding)}\n`),
    signal: stopping.signal,
  });
  process.stdout.write(`${describeResult(result)}\n`);
  if (result.logFolder !== undefined) process.stdout.write(`logs: ${result.logFolder}\n`);
  process.exitCode = result.isComplete && result.findings.length === 0 ? 0 : 1;
} catch (error) {
  // Ctrl-C reaches the fleet, too, so that calls fail which nobody waits for.
  const isStopped = stopping.signal.aborted;
  process.stderr.write(isStopped ? "stopped before its end\n" : `the run itself failed: ${(error as Error).stack}\n`);
  process.exitCode = 1;
}

function range(one: number | undefined, count: number): Range {
  if (one !== undefined) return { from: one, to: one + 1 };
  return isOne ? { from: 0, to: 0 } : { from, to: from + count };
}

/** One line that is rewritten on a terminal. */
function progress(line: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\u001B[K${line}`);
  else if (!/^(calls|answers)/.test(line)) process.stdout.write(`${line}\n`);
}
