import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Call } from "../generate/call.ts";
import { type Parsed, parseResponses } from "./parse-responses.ts";

/** What came back for a call. */
export interface Reply extends Parsed {
  /** Nothing that was due came within the time, and the connection stayed open. */
  isOverdue: boolean;
  tookMs: number;
}

/** A generous limit for a busy machine; the longest wait that Postrider itself has is BODY_TIMEOUT. */
const DUE_MS = 30_000;
/** How long to listen where nothing is due. */
const LINGER_MS = 150;

/** A client's end of one connection. */
export class Connection {
  readonly #socket: Socket;
  #received: Buffer[] = [];
  #isClosed = false;
  #wake: () => void = () => undefined;
  #used = 0;

  constructor(port: number) {
    this.#socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
    this.#socket.on("data", (chunk) => {
      this.#received.push(chunk);
      this.#wake();
    });
    const onEnd = () => {
      this.#isClosed = true;
      this.#wake();
    };
    this.#socket.on("end", onEnd).on("close", onEnd).on("error", onEnd);
  }

  get isUsable(): boolean {
    return !this.#isClosed;
  }

  /** How many calls it has carried. */
  get used(): number {
    return this.#used;
  }

  /** Sends the pieces and waits for the response, or, on a raw call, for everything that the server sends. */
  async exchange(call: Call): Promise<Reply> {
    this.#used += 1;
    this.#received = [];
    const startedAt = performance.now();
    for (const { bytes, afterMs } of call.pieces) {
      if (afterMs !== undefined) await pause(afterMs);
      if (!this.#isClosed) this.#socket.write(bytes);
    }
    if (call.ending === "half-close") this.#socket.end();
    const waitMs = call.ending === "leave" ? 0 : call.isAnswerDue ? DUE_MS : LINGER_MS;
    const methods = [call.method];
    let parsed = this.#parse(methods);
    const isDone = () => this.#isClosed || parsed.responses.length > 0 || parsed.problem !== undefined;
    while (!isDone() && performance.now() - startedAt < waitMs) {
      await this.#change(waitMs - (performance.now() - startedAt));
      parsed = this.#parse(methods);
    }
    const isOverdue = call.isAnswerDue && !isDone();
    // More responses may follow the first one.
    if (call.isRaw && call.ending !== "leave" && !this.#isClosed) {
      await this.#change(LINGER_MS / 5);
      parsed = this.#parse(methods);
    }
    return { ...parsed, isOverdue, tookMs: performance.now() - startedAt };
  }

  /** Closes at once, with a reset that leaves no port behind. */
  destroy(): void {
    this.#socket.resetAndDestroy();
  }

  #parse(methods: readonly string[]): Parsed {
    if (this.#received.length > 1) this.#received = [Buffer.concat(this.#received)];
    return parseResponses(this.#received[0] ?? Buffer.alloc(0), methods, this.#isClosed);
  }

  async #change(withinMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => undefined;
  }
}
