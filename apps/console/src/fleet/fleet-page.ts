import { MAX_COUNTED, type FleetState } from "@postrider/shared/runtime/fleet/fleet-state.ts";
import type { WatchdogEntry } from "@postrider/shared/runtime/fleet/watchdog-log.ts";
import { escapeHtml, page } from "../pages/page.ts";
import { age, bytes, count, moment } from "./format.ts";
import { findingsOf, type Finding } from "./findings.ts";

/** As in assets/fleet.js, which updates the page in place. */
const UPDATE_SECONDS = 5;
/** A reload would take the focus, so it is only for browsers without scripts. */
const HEAD = `<script type="module" src="/assets/fleet.js"></script>
<noscript><meta http-equiv="refresh" content="${UPDATE_SECONDS}"></noscript>
`;
const JOB_STATES = ["waiting", "prioritized", "active", "delayed", "failed"] as const;
const LANE_CONTENTS: Readonly<Record<string, string>> = {
  dispatch: "batches of up to 100 deliveries",
  retry: "deliveries that wait for their next attempt; failed are the newest dead letters",
  control: "one release per subscription with held deliveries, one expansion per tenant with large fan-outs",
};

/** @param now Unix milliseconds */
export function fleetPage(state: FleetState, now: number): string {
  return page(
    "Fleet",
    `<p class="problem" id="stale" role="alert" hidden>The console does not answer: this page is out of date.</p>
${verdict(findingsOf(state, now))}
${tiles(state)}
${lanes(state)}
${workers(state, now)}
${watchdog(state, now)}
<p class="hint">As of ${moment(now)}. This page updates itself every ${UPDATE_SECONDS} seconds.</p>`,
    { head: HEAD, isWide: true },
  );
}

function verdict(findings: readonly Finding[]): string {
  if (findings.length === 0)
    return `<p class="verdict well" role="status">All is well: due deliveries are being sent.</p>`;
  const items = findings.map(
    ({ level, text, runbook }) =>
      `<li class="${level}" data-key="${runbook}">${escapeHtml(text)} <a href="/docs/running-in-production.md#${runbook}">What to do</a></li>`,
  );
  return `<ul class="findings" role="alert">\n${items.join("\n")}\n</ul>`;
}

const UNKNOWN = "unknown";

function tiles({ oldestDueSeconds, deadLastDay, held, breakers, redis, postgres }: FleetState): string {
  const allHeld = held?.reduce((sum, { deliveries }) => sum + deliveries, 0);
  const reasons = held
    ?.filter(({ deliveries }) => deliveries > 0)
    .map((one) => `${count(one.deliveries)} ${one.reason}`);
  const plus = deadLastDay !== undefined && deadLastDay >= MAX_COUNTED ? "+" : "";
  const all = [
    tile(
      "Oldest past due",
      oldestDueSeconds === undefined ? UNKNOWN : age(oldestDueSeconds * 1000),
      "normally a few seconds at most",
    ),
    tile(
      "Dead letters, 24 h",
      deadLastDay === undefined ? UNKNOWN : count(deadLastDay) + plus,
      "of events of the last day",
    ),
    tile(
      "Held",
      allHeld === undefined ? UNKNOWN : count(allHeld),
      reasons?.join(", ").replaceAll("_", " ") || "no deliveries",
    ),
    tile(
      "Breakers open",
      breakers ? count(breakers.open) : UNKNOWN,
      breakers ? `${count(breakers.half_open)} being probed` : "",
    ),
    tile(
      "Redis",
      redis ? bytes(redis.usedBytes) : UNKNOWN,
      redis?.maxBytes === undefined ? "no limit set" : `of ${bytes(redis.maxBytes)}`,
    ),
    tile(
      "Postgres",
      postgres ? bytes(postgres.databaseBytes) : UNKNOWN,
      postgres ? `${postgres.connections} of ${postgres.maxConnections} connections` : "",
    ),
  ];
  return `<dl class="tiles">\n${all.join("\n")}\n</dl>`;
}

const tile = (name: string, value: string, note: string): string =>
  `<div><dt>${name}</dt><dd>${value}</dd><dd class="note">${escapeHtml(note)}</dd></div>`;

function lanes({ lanes: found }: FleetState): string {
  const jobs = (lane: string, state: string) => {
    const one = found?.find((depth) => depth.lane === lane && depth.state === state);
    return one ? count(one.jobs) : UNKNOWN;
  };
  const rows = ["dispatch", "retry", "control"].map(
    (
      lane,
    ) => `<tr><th scope="row"><a href="/queues/queue/${lane}">${lane}</a><span class="note">${LANE_CONTENTS[lane]!}</span></th>
${JOB_STATES.map((state) => `<td>${jobs(lane, state)}</td>`).join("")}</tr>`,
  );
  return table("Lanes", ["jobs", ...JOB_STATES], rows);
}

function workers({ workers: found }: FleetState, now: number): string {
  if (found === undefined) return section("Workers", `<p>${UNKNOWN}</p>`);
  if (found.length === 0) return section("Workers", "<p>No worker has sent a heartbeat in the last 30 seconds.</p>");
  const rows = found.map(
    ({ host, pid, adminPort, inFlight, slots, startedAt, seenAt }) =>
      `<tr data-key="${escapeHtml(`${host} ${pid}`)}"><th scope="row">${escapeHtml(host)}<span class="note">process ${pid}, metrics on port ${adminPort}</span></th>
<td>${count(inFlight)} of ${count(slots)}</td><td>${age(now - startedAt)}</td><td>${age(now - seenAt)} ago</td></tr>`,
  );
  return table("Workers", [`${found.length} there`, "requests in flight", "running for", "last heartbeat"], rows);
}

function watchdog({ watchdog: log }: FleetState, now: number): string {
  if (log?.lastRun === undefined) return section("Watchdog", `<p>${log ? "It has not run yet." : UNKNOWN}</p>`);
  const repair = log.lastRepair;
  const last = repair
    ? `Its last repair was ${age(now - repair.at)} ago (${moment(repair.at)}): ${repairs(repair)}.`
    : "It has not had to repair anything since Redis was last emptied.";
  return section("Watchdog", `<p>It last ran ${age(now - log.lastRun.at)} ago. ${last}</p>`);
}

const repairs = ({ pending, retrying, held, expanding = 0 }: WatchdogEntry): string =>
  [
    [pending, "batch without a job", "batches without a job"],
    [retrying, "overdue retry", "overdue retries"],
    [held, "missing release", "missing releases"],
    [expanding, "missing expansion", "missing expansions"],
  ]
    .filter(([number]) => number !== 0)
    .map(([number, singular, plural]) => `${count(number as number)} ${number === 1 ? singular : plural}`)
    .join(", ");

const section = (title: string, body: string): string => `<section><h2>${title}</h2>\n${body}</section>`;

const table = (title: string, columns: readonly string[], rows: readonly string[]): string =>
  section(
    title,
    `<div class="scroll"><table><thead><tr>${columns.map((name) => `<th scope="col">${name}</th>`).join("")}</tr></thead>
<tbody>
${rows.join("\n")}
</tbody></table></div>`,
  );
