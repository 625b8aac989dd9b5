import type { Percentiles } from "./latency.ts";
import { isBounded } from "./ledger.ts";
import type { PlannedFault } from "./plan.ts";
import type { ChaosResult } from "./run.ts";

/** Longer lists are cut; evidence.json has all of them. */
const MAX_LINES = 20;

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export function describePlan(seed: number, plan: readonly PlannedFault[]): string {
  const lines = plan.map(({ name, afterMs, lastsMs, worker, hits }, index) => {
    const who = name.startsWith("worker-")
      ? ` worker-${worker + 1}`
      : name.startsWith("receivers-")
        ? ` ${hits.flatMap((hit, number) => (hit ? `subscriber-${number + 1}` : [])).join(" ")}`
        : "";
    return `  ${String(index + 1).padStart(2)}. after ${seconds(afterMs)}: ${name}${who}${lastsMs > 0 ? ` for ${seconds(lastsMs)}` : ""}`;
  });
  return `plan of seed ${seed}:\n${lines.join("\n")}\n`;
}

export function describeResult({ audit, latency, faults, posted, loadMs, passed }: ChaosResult): string {
  const { duplicates, lost, violations, unfinished } = audit;
  const total = duplicates.reduce((sum, { count }) => sum + count, 0);
  const late = duplicates.reduce((sum, { lateAnswers }) => sum + lateAnswers, 0);
  const dead = [...audit.dead].map(([reason, count]) => `${reason} ${count}`).join(", ");
  const rows = faults.map((fault, index) => {
    const { count, lateAnswers, bound } = duplicates[index + 1]!;
    return [
      fault.name,
      seconds(fault.endedAt - fault.startedAt),
      fault.recoveryMs === undefined ? "never" : seconds(fault.recoveryMs),
      String(count),
      String(lateAnswers),
      `${bound}${isBounded(duplicates[index + 1]!) ? "" : " ABOVE"}`,
    ];
  });
  const before = duplicates[0]!;
  if (before.count > 0) rows.unshift([before.fault, "", "", String(before.count), String(before.lateAnswers), "0"]);
  return [
    "",
    `posted       ${posted} events in ${seconds(loadMs)}`,
    `accepted     ${audit.accepted}`,
    `unknown      ${audit.unknown} (the answer never arrived; ${audit.unknownStored} of them are stored and counted below)`,
    `expected     ${audit.expected} deliveries`,
    `delivered    ${audit.delivered}`,
    `LOST         ${lost.length}`,
    `dead         ${[...audit.dead.values()].reduce((sum, count) => sum + count, 0)}${dead ? ` (${dead})` : ""}`,
    `duplicates   ${total} (${((100 * total) / Math.max(1, audit.expected)).toFixed(2)} %), ${late} of them because an answer came after its deadline`,
    `superseded   ${audit.superseded} attempts`,
    `latency      ${percentiles(latency.unbroken)}: 202 to first receipt, subscriber not broken, event not refused`,
    `latency, all ${percentiles(latency.all)}`,
    `tail         ${latency.tailMs === undefined ? "none" : seconds(latency.tailMs)}: end of the last fault to the last receipt of an event accepted before it`,
    "",
    table([["fault", "lasted", "recovery", "duplicates", "late", "bound"], ...rows]),
    ...list("lost", lost),
    ...list("received, but not recorded as finished", unfinished),
    ...list("violated", violations),
    "",
    passed ? "GREEN: nothing was lost" : "RED",
  ].join("\n");
}

function percentiles({ count, p50, p99, max }: Percentiles): string {
  return count === 0 ? "none" : `p50 ${seconds(p50)}, p99 ${seconds(p99)}, max ${seconds(max)} (${count})`;
}

function list(title: string, items: readonly unknown[]): string[] {
  if (items.length === 0) return [];
  const lines = items.slice(0, MAX_LINES).map((item) => `  ${typeof item === "string" ? item : JSON.stringify(item)}`);
  const more = items.length > MAX_LINES ? [`  … and ${items.length - MAX_LINES} more`] : [];
  return ["", `${title} (${items.length}):`, ...lines, ...more];
}

function table(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
