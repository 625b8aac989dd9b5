import type { Message } from "@postrider/testkit/processes/inbox.ts";
import { ManagedProcess } from "@postrider/testkit/processes/managed-process.ts";

export interface ReceiverTask {
  seed: number;
}
interface ReceiverOrder {
  kind: "collect";
}
/** What the receiver saw since it was last asked. */
export interface Collected {
  /** Answer number and how many requests asked for it. */
  served: [number: number, times: number][];
  /** Requests that should never have been sent, or that hold data of two tenants. */
  wrong: string[];
}
export type ReceiverReport = { kind: "listening"; port: number } | ({ kind: "collected" } & Collected);

const ANSWER_WITHIN_MS = 60_000;

/** The receiver of all deliveries, in a process of its own. */
export class FuzzReceiver {
  readonly #child: ManagedProcess;
  readonly port: number;

  private constructor(child: ManagedProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(seed: number): Promise<FuzzReceiver> {
    const script = new URL("../processes/receiver.ts", import.meta.url);
    const child = new ManagedProcess({ name: "receiver", script, task: { seed } satisfies ReceiverTask });
    const { port } = await child.next<Message & { kind: "listening"; port: number }>("listening", ANSWER_WITHIN_MS);
    return new FuzzReceiver(child, port);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async collect(): Promise<Collected> {
    this.#child.send({ kind: "collect" } satisfies ReceiverOrder);
    return this.#child.next<Message & Collected>("collected", ANSWER_WITHIN_MS);
  }

  stop(): Promise<unknown> {
    return this.#child.stop();
  }
}
