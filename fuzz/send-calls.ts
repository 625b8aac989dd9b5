import type { Fleet } from "./fleet.ts";
import type { Call } from "./generate/call.ts";
import { generateCall } from "./generate/generate-call.ts";
import type { Findings } from "./judge/finding.ts";
import { judgeReply } from "./judge/judge-reply.ts";
import { renewResources } from "./resources.ts";
import { Sender } from "./send/sender.ts";

/** Calls for which the same subscriptions and events exist. */
const EPOCH = 1_000;
const CONCURRENCY = 16;

export interface CallOptions {
  fleet: Fleet;
  seed: number;
  /** From this number, up to but not including that one. */
  from: number;
  to: number;
  session: string;
  findings: Findings;
  /** Called after each epoch. */
  onEpoch: (sent: number) => Promise<void>;
  signal: AbortSignal;
}

export interface CallSummary {
  sent: number;
  /** Answers by status; 0 is none. */
  statuses: Map<number, number>;
  slowestMs: number;
}

export async function sendCalls(options: CallOptions): Promise<CallSummary> {
  const { fleet, seed, from, to, session, findings, onEpoch, signal } = options;
  const senders = Array.from({ length: CONCURRENCY }, () => new Sender(fleet.ports));
  const summary: CallSummary = { sent: 0, statuses: new Map(), slowestMs: 0 };
  try {
    for (let start = from; start < to && !signal.aborted; start += EPOCH) {
      const resources = await renewResources(fleet, session);
      const end = Math.min(start + EPOCH, to);
      let next = start;
      const send = async (sender: Sender) => {
        while (next < end && !signal.aborted) {
          const call = generateCall(seed, next, resources);
          next += 1;
          await sendOne(sender, call, seed, findings, summary);
        }
      };
      await Promise.all(senders.map(send));
      await onEpoch(summary.sent);
    }
  } finally {
    for (const sender of senders) sender.close();
  }
  return summary;
}

async function sendOne(
  sender: Sender,
  call: Call,
  seed: number,
  findings: Findings,
  summary: CallSummary,
): Promise<void> {
  const reply = await sender.send(call);
  summary.sent += 1;
  summary.slowestMs = Math.max(summary.slowestMs, reply.tookMs);
  const status = reply.responses[0]?.status ?? 0;
  summary.statuses.set(status, (summary.statuses.get(status) ?? 0) + 1);
  for (const judgement of judgeReply(call, reply)) {
    findings.add({ ...judgement, replay: describeCall(seed, call) });
  }
}

const SHOWN_BYTES = 1_500;

function describeCall(seed: number, { number, server, caller, mutations, pieces, ending }: Call): string {
  const bytes = Buffer.concat(pieces.map((piece) => piece.bytes));
  const cut = bytes.length > SHOWN_BYTES ? ` … ${bytes.length} bytes` : "";
  return [
    `npm run fuzz -- --seed ${seed} --only ${number}`,
    `to ${server} with key "${caller}", then ${ending}${mutations.length > 0 ? `; ${mutations.join(", ")}` : ""}`,
    JSON.stringify(bytes.toString("latin1", 0, SHOWN_BYTES)) + cut,
  ].join("\n    ");
}
