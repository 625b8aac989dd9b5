import { sum, type Usage } from "./growth.ts";
import type { Finding, FoundKind } from "./judge/finding.ts";
import type { FuzzResult } from "./run.ts";

const perSecond = (count: number, ms: number): string => `${Math.round((1000 * count) / Math.max(1, ms))}/s`;
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export function describeResult(result: FuzzResult): string {
  const { calls, callsMs, answers, answersMs, usage, slowestProbeMs, findings, isComplete } = result;
  const statuses = [...calls.statuses]
    .sort(([a], [b]) => a - b)
    .map(([status, count]) => `${status || "none"} ${count}`);
  const change = (of: (usage: Usage) => Record<string, number | undefined>, unit = ""): string =>
    Object.entries(of(usage.before))
      .map(
        ([name, from]) =>
          `${name} ${from === undefined ? "not measured" : `${from} to ${of(usage.after)[name]}${unit}`}`,
      )
      .join(", ");
  return [
    "",
    `calls      ${calls.sent} in ${seconds(callsMs)} (${perSecond(calls.sent, callsMs)}), slowest ${seconds(calls.slowestMs)}`,
    `statuses   ${statuses.join(", ")}`,
    `answers    ${answers} in ${seconds(answersMs)} (${perSecond(answers, answersMs)})`,
    `probes     slowest ${seconds(slowestProbeMs)}`,
    `heap       ${change(({ heapMiB }) => heapMiB, " MiB")}`,
    `resident   ${change(({ residentMiB }) => residentMiB, " MiB")}`,
    `files      ${change(({ openFiles }) => openFiles)}`,
    `Redis      ${sum(usage.before.redisKeys)} to ${sum(usage.after.redisKeys)} keys`,
    ...findings.map(describeKind),
    "",
    findings.length > 0
      ? `RED: ${findings.length} kinds of findings`
      : isComplete
        ? "GREEN: nothing was found"
        : "stopped before its end: nothing was found so far",
  ].join("\n");
}

const describeKind = ({ kind, count, examples }: FoundKind): string =>
  [`\n${count} × ${kind}`, ...examples.map(describeFinding)].join("\n");

export const describeFinding = ({ detail, replay }: Finding): string => `  ${detail}\n    ${replay}`;
