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
  const { seed, progress, signal } = options;
  let { keep } = options;
  const logFolder = mkdtempSync(join(tmpdir(), "postrider-fuzz-"));
  // The account that runs the servers must be able to reach its folder.
  chmodSync(logFolder, 0o711);
  try {
    progress("starting PostgreSQL, Redis, a receiver, ingest, a worker and the console");
    const fleet = await startFleet(seed, logFolder);
    const findings = new Findings(options.onFinding, signal);
    const logs = new LogWatch(logFolder);
    const liveness = new Liveness(fleet);
    // What a crashed fleet can't do is no finding of its own.
    const stopping = new AbortController();
    signal.addEventListener("abort", () => stopping.abort(), { once: true });
    const look = () => {
      findings.add(...logs.look(), ...liveness.take());
      if (liveness.hasCrash) stopping.abort();
    };
    try {
      const common = { fleet, seed, findings, signal: stopping.signal, session: await logIn(fleet) };
      const send = (range: Range, before: number) =>
        sendCalls({
          ...common,
          ...range,
          async onEpoch(sent) {
            look();
            progress(`calls: ${before + sent}; kinds of findings: ${findings.all.length}`);
          },
        });
      const { from, to } = options.calls;
      const warmTo = Math.min(to, from + WARM_UP_CALLS);
      const startedAt = performance.now();
      const warm = await send({ from, to: warmTo }, 0);
      const before = await readUsage(fleet);
      const rest = await send({ from: warmTo, to }, warm.sent);
      const callsMs = performance.now() - startedAt;
      const answersAt = performance.now();
      const answers = await sendAnswers({
        ...common,
        ...options.answers,
        progress(answered) {
          look();
          progress(`answers: ${answered}; kinds of findings: ${findings.all.length}`);
        },
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
      look();
      keep ||= findings.all.length > 0;
      return {
        calls: merge(warm, rest),
        callsMs,
        answers,
        answersMs,
        usage: { before, after },
        slowestProbeMs: liveness.maxMs,
        findings: findings.all,
        isComplete: !signal.aborted,
        logFolder: keep ? logFolder : undefined,
      };
    } finally {
      await liveness.stop();
      progress("stopping");
      const troubles = await fleet.stop();
      findings.add(...troubles.map((detail) => ({ kind: "a bad end", detail, replay: logFolder })));
    }
  } catch (error) {
    keep ||= !signal.aborted;
    throw new Error(`${(error as Error).message}; logs: ${logFolder}`, { cause: error });
  } finally {
    if (!keep) rmSync(logFolder, { recursive: true, force: true });
  }
}

function merge(a: CallSummary, b: CallSummary): CallSummary {
  const statuses = new Map(a.statuses);
  for (const [status, count] of b.statuses) statuses.set(status, (statuses.get(status) ?? 0) + count);
  return { sent: a.sent + b.sent, statuses, slowestMs: Math.max(a.slowestMs, b.slowestMs) };
}
