import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Machine } from "./machine.ts";
import { type Comparison, type Measured, type Column, summaryOf } from "./rounds.ts";
import type { Summary } from "./statistics.ts";

/** A whole run, as it is written to the machine-readable file. */
export interface Run {
  command: string;
  startedAt: string;
  durationS: number;
  machine: Machine;
  rounds: number;
  suites: readonly { suite: string; comparisons: readonly Comparison[] }[];
}

export const RESULTS_DIR = join(import.meta.dirname, "../results");

/** @returns the files written: JSON with every round, Markdown with the tables */
export function writeResults(run: Run): string[] {
  mkdirSync(RESULTS_DIR, { recursive: true });
  const name = run.startedAt.replaceAll(":", "-").slice(0, 19);
  const [json, markdown] = [join(RESULTS_DIR, `${name}.json`), join(RESULTS_DIR, `${name}.md`)];
  writeFileSync(json, `${JSON.stringify(run, null, 2)}\n`);
  writeFileSync(markdown, toMarkdown(run));
  return [json, markdown];
}

export function toMarkdown({ command, startedAt, durationS, machine, rounds, suites }: Run): string {
  const { cpus, cpuModel, node, postgres, redis, payloads, loadBefore } = machine;
  const comparisons = suites.flatMap((suite) => suite.comparisons);
  return [
    `# ${command}`,
    "",
    `${startedAt}, ${Math.round(durationS)} s. ${cpus} × ${cpuModel}, load ${loadBefore.toFixed(1)} before the run; Node ${node}, PostgreSQL ${postgres}, Redis ${redis}; ${payloads}.`,
    "",
    `Median of ${rounds} round${rounds === 1 ? "" : "s"}, range in parentheses. Ratios are taken within a round; figures by themselves depend on the machine.`,
    "",
    ...comparisons.flatMap((comparison) => [...table(comparison), ""]),
    "## In short",
    "",
    ...comparisons.flatMap(({ title, ratios }) => ratios.map((ratio) => `- ${title}: ${inShort(ratio)}`)),
    "",
  ].join("\n");
}

function table({ title, columns, measured }: Comparison): string[] {
  const shown = columns.filter(({ metric }) => measured.some((one) => summaryOf(one, metric)));
  return [
    `## ${title}`,
    "",
    row(["", ...shown.map(({ label }) => label)]),
    row(["---", ...shown.map(() => "---:")]),
    ...measured.map((one) => row([one.name, ...shown.map((column) => cell(one, column))])),
  ];
}

const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

function cell(measured: Measured, { metric, digits }: Column): string {
  const summary = summaryOf(measured, metric);
  if (!summary) return "";
  return measured.rounds.length === 1 ? summary.median.toFixed(digits) : withSpread(summary, digits);
}

const withSpread = ({ median, min, max }: Summary, digits: number): string =>
  `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;

function inShort({ label, of, against, median, min, max, goal }: Comparison["ratios"][number]): string {
  if (median === undefined || min === undefined || max === undefined) return `${label}: not measured here`;
  const spread = min === max ? "" : ` (${min.toFixed(2)}–${max.toFixed(2)})`;
  // Where there is a goal, several contenders are compared with it.
  const ours = goal === undefined ? "" : `${of}: `;
  const aim = goal === undefined ? "" : `; goal: ${goal}`;
  return `${label}: ${ours}${median.toFixed(2)} × ${against}${spread}${aim}`;
}
