import type { Message } from "@postrider/testkit/processes/inbox.ts";
import { ManagedProcess } from "@postrider/testkit/processes/managed-process.ts";

/** How a subscriber treats its requests. */
export type SubscriberMode = "work" | "fail" | "hang" | "drip" | "reset";
/** Subscriber, event, Unix milliseconds. */
export type RawReceipt = [subscriber: string, event: string, at: number];

export interface ReceiverTask {
  subscribers: readonly string[];
}
export type ReceiverOrder =
  | { kind: "behave"; subscribers: readonly string[]; mode: SubscriberMode }
  | { kind: "collect" };
export type ReceiverReport =
  | { kind: "listening"; urls: string[] }
  | { kind: "done" }
  | { kind: "collected"; receipts: RawReceipt[]; refusals: RawReceipt[] };

export interface Receivers {
  /** In the order of the subscribers. */
  urls: readonly string[];
  behave(subscribers: readonly string[], mode: SubscriberMode): Promise<void>;
  /** Everything that was ever received. */
  collect(): Promise<{ receipts: RawReceipt[]; refusals: RawReceipt[] }>;
  stop(): Promise<unknown>;
}

const ANSWER_WITHIN_MS = 60_000;

/** Starts the subscribers' process, which survives every fault. */
export async function startReceivers(subscribers: readonly string[]): Promise<Receivers> {
  const script = new URL("./processes/receiver.ts", import.meta.url);
  const task: ReceiverTask = { subscribers };
  const child = new ManagedProcess({ name: "receivers", script, task });
  const next = async <K extends ReceiverReport["kind"]>(kind: K): Promise<Extract<ReceiverReport, { kind: K }>> =>
    (await child.next<Message>(kind, ANSWER_WITHIN_MS)) as Extract<ReceiverReport, { kind: K }>;
  const order = (message: ReceiverOrder) => child.send(message);
  const { urls } = await next("listening");
  return {
    urls,
    async behave(names, mode) {
      order({ kind: "behave", subscribers: names, mode });
      await next("done");
    },
    collect() {
      order({ kind: "collect" });
      return next("collected");
    },
    stop: () => child.stop(),
  };
}
