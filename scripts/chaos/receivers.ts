import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export type Behaviour = "work" | "fail" | "hang" | "drip" | "reset";
/** Subscriber, event, Unix milliseconds. */
export type RawReceipt = [subscriber: string, event: string, at: number];
export type ToReceiver = { kind: "behave"; subscribers: string[]; behaviour: Behaviour } | { kind: "tell" };
export type FromReceiver =
  | { kind: "listening"; port: number }
  | { kind: "done" }
  | { kind: "told"; receipts: RawReceipt[]; refusals: RawReceipt[] };

export interface Receivers {
  urlOf(subscriber: string): string;
  behave(subscribers: string[], behaviour: Behaviour): Promise<void>;
  /** Everything that was ever received. */
  tell(): Promise<{ receipts: RawReceipt[]; refusals: RawReceipt[] }>;
  stop(): Promise<void>;
}

/** Starts the subscribers' process. */
export async function startReceivers(): Promise<Receivers> {
  const child = fork(fileURLToPath(new URL("./receiver.ts", import.meta.url)), { stdio: "inherit" });
  const killWithUs = () => child.kill("SIGKILL");
  process.once("exit", killWithUs);
  const ended = once(child, "exit").then(() => process.off("exit", killWithUs));
  const next = async (): Promise<FromReceiver> => ((await once(child, "message")) as [FromReceiver])[0];
  const ask = async (message: ToReceiver): Promise<FromReceiver> => {
    const answer = next();
    child.send(message);
    return answer;
  };
  const first = await next();
  const port = first.kind === "listening" ? first.port : 0;
  return {
    urlOf: (subscriber) => `http://127.0.0.1:${port}/${subscriber}`,
    async behave(subscribers, behaviour) {
      await ask({ kind: "behave", subscribers, behaviour });
    },
    async tell() {
      const answer = await ask({ kind: "tell" });
      return answer.kind === "told" ? answer : { receipts: [], refusals: [] };
    },
    async stop() {
      child.disconnect();
      await ended;
    },
  };
}
