import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sendAnswers } from "./answers/send-answers.ts";
import { startFleet } from "./fleet.ts";
import { countDead, judgeGrowth, readUsage, settle, type Usage } from "./growth.ts";
import { type Finding, Findings, type FoundKind } from "./judge/finding.ts";
import { LogWatch } from "./judge/watch-logs.ts";
import { Liveness } from "./liveness.ts";
import { logIn } from "./resources.ts";
import { type CallSummary, sendCalls } from "./send-calls.ts";

/** Numbers from one, up to but not including the other. */
export interface Range {
  from: number;
  to: number;
}

export interface FuzzOptions {
  seed: number;
  calls: Range;
  answers: Range;
  /** Keeps the logs of a run that passed, too. */
  keep: boolean;
  progress: (line: string) => void;
  onFinding: (finding: Finding) => void;
  signal: AbortSignal;
}

export interface FuzzResult {
  calls: CallSummary;
  callsMs: number;
  answers: number;
  answersMs: number;
  usage: { before: Usage; after: Usage };
  slowestProbeMs: number;
  findings: FoundKind[];
  /** False if it was stopped before its end. */
  isComplete: boolean;
  logFolder: string | undefined;
}

/** Fills caches, pools and V8's heap before usage is first read. */
const WARM_UP_CALLS = 1_000;

/** Sends calls and answers to a fleet of its own. Leaves no process running, whatever happens. */
export async function runFuzz(options: FuzzOptions): Promise<FuzzResult> {
  const { signal } = options;
  let { keep } = options;
  const logFolder = mkdtempSync(join(tmpdir(), "postrider-fuzz-"));
  // The account that runs the servers must be able to reach its folder.
  chmodSync(logFolder, 0o711);
  try {
    const findings = new Findings(options.onFinding, signal);
    const measured = await sendToFleet(options, findings, logFolder);
    // Only now, because how the processes end can be a finding, too.
    keep ||= findings.all.length > 0;
    const isComplete = !signal.aborted;
    return { ...measured, findings: findings.all, isComplete, logFolder: keep ? logFolder : undefined };
  } catch (error) {
    keep ||= !signal.aborted;
    throw new Error(`${(error as Error).message}; logs: ${logFolder}`, { cause: error });
  } finally {
    if (!keep) rmSync(logFolder, { recursive: true, force: true });
  }
}

type Measured = Omit<FuzzResult, "findings" | "isComplete" | "logFolder">;

/** @param findings has everything when this is over, also what was wrong with how the processes ended */
async function sendToFleet(options: FuzzOptions, findings: Findings, logFolder: string): Promise<Measured> {
  const { seed, progress, signal } = options;
  progress("starting PostgreSQL, Redis, a receiver, ingest, a worker and the console");
  const fleet = await startFleet(seed, logFolder);
  const logs = new LogWatch(logFolder);
  const liveness = new Liveness(fleet);
  // What a crashed fleet can't do is no finding of its own.
  const stopping = new AbortController();
  signal.addEventListener("abort", () => stopping.abort(), { once: true });
  const look = async (where: string) => {
    const { wrong } = await fleet.receiver.collect();
    const requests = wrong.map((detail) => ({ kind: "a wrong request", detail, replay: `before ${where}` }));
    findings.add(...requests, ...logs.look(), ...liveness.take());
    if (liveness.hasCrash) stopping.abort();
    progress(`${where}; kinds of findings: ${findings.all.length}`);
  };
  try {
    const common = { fleet, seed, findings, signal: stopping.signal, session: await logIn(fleet) };
    const { from, to } = options.calls;
    const send = (range: Range) =>
      sendCalls({ ...common, ...range, onEpoch: (sent) => look(`calls: ${range.from - from + sent}`) });
    const warmTo = Math.min(to, from + WARM_UP_CALLS);
    const startedAt = performance.now();
    const warm = await send({ from, to: warmTo });
    const before = await readUsage(fleet);
    const rest = await send({ from: warmTo, to });
    const callsMs = performance.now() - startedAt;
    const answersAt = performance.now();
    const answers = await sendAnswers({
      ...common,
      ...options.answers,
      onWindow: (answered) => look(`answers: ${answered}`),
    });
    const answersMs = performance.now() - answersAt;
    progress("settling");
    let after = before;
    if (!stopping.signal.aborted) {
      if (!(await settle(fleet))) {
        findings.add({ kind: "unfinished deliveries", detail: "without any subscription", replay: "" });
      }
      const growth = await judgeGrowth(fleet, before, await countDead(fleet));
      after = growth.after;
      findings.add(...growth.found);
    }
    await look("the end");
    const usage = { before, after };
    return { calls: merge(warm, rest), callsMs, answers, answersMs, usage, slowestProbeMs: liveness.maxMs };
  } finally {
    await liveness.stop();
    findings.add(...liveness.take());
    progress("stopping");
    const troubles = await fleet.stop();
    findings.add(...troubles.map((detail) => ({ kind: "a bad end", detail, replay: logFolder })));
    findings.add(...logs.look(true));
  }
}

function merge(a: CallSummary, b: CallSummary): CallSummary {
  const statuses = new Map(a.statuses);
  for (const [status, count] of b.statuses) statuses.set(status, (statuses.get(status) ?? 0) + count);
  return { sent: a.sent + b.sent, statuses, slowestMs: Math.max(a.slowestMs, b.slowestMs) };
}
