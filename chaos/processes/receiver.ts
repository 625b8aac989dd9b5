// The subscribers, in a process of their own that survives every fault and records what it accepts.
import { createHash } from "node:crypto";
import { onOrders, readTask, report } from "@postrider/testkit/processes/parent.ts";
import { answer, drip, reset, silence } from "@postrider/testkit/receiver/behaviours.ts";
import { startReceiver } from "@postrider/testkit/receiver/receiver.ts";
import { type Behaviour, eventOf } from "@postrider/testkit/receiver/request.ts";
import type { RawReceipt, ReceiverOrder, ReceiverReport, ReceiverTask, SubscriberMode } from "../receivers.ts";

/** How long the subscribers work on an event, in turn: a worker that is hit always has requests in flight. */
const WORK_MS = [15, 60, 200, 400];
/** This share of the events is refused so often before it is accepted, so that Redis holds retries at every fault. */
const FLAKY = { share: 0.15, refusals: 2 };

const { subscribers } = readTask() as ReceiverTask;
const modes = new Map<string, SubscriberMode>();
const receipts: RawReceipt[] = [];
const refusals: RawReceipt[] = [];
/** Subscriber and event → how often it was refused for being flaky. */
const refused = new Map<string, number>();

const receiver = await startReceiver({ keepsRequests: false });
const urls = subscribers.map((name, number) => receiver.endpoint(behaviourOf(name, number), `/${name}`).url);

function behaviourOf(name: string, number: number): Behaviour {
  const behaviours: Record<SubscriberMode, Behaviour> = {
    work: answer(200, { body: "ok", afterMs: WORK_MS[(number + 1) % WORK_MS.length]! }),
    fail: answer(500, { body: "on purpose" }),
    hang: silence,
    drip: drip(),
    reset,
  };
  return (request, response) => {
    const event = eventOf(request);
    const current = modes.get(name) ?? "work";
    const mode = current === "work" && isRefused(name, event) ? "fail" : current;
    // From here on the subscriber has the event, whether or not its answer reaches the sender. The status line decides,
    // and what drips is the body of a 200.
    (mode === "work" || mode === "drip" ? receipts : refusals).push([name, event, Date.now()]);
    behaviours[mode](request, response);
  };
}

function isRefused(subscriber: string, event: string): boolean {
  const chance = createHash("sha256").update(event).digest()[0]! / 256;
  if (chance >= FLAKY.share) return false;
  const pair = `${subscriber} ${event}`;
  const times = refused.get(pair) ?? 0;
  refused.set(pair, times + 1);
  return times < FLAKY.refusals;
}

onOrders((message) => {
  const order = message as ReceiverOrder;
  switch (order.kind) {
    case "behave":
      for (const subscriber of order.subscribers) modes.set(subscriber, order.mode);
      return report({ kind: "done" } satisfies ReceiverReport);
    case "collect":
      return report({ kind: "collected", receipts, refusals } satisfies ReceiverReport);
  }
});
// Ctrl-C reaches the whole process group; the run still has to collect the receipts.
process.on("SIGINT", () => undefined);
report({ kind: "listening", urls } satisfies ReceiverReport);
