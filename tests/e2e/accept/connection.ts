import { connect, type Socket } from "node:net";
import { withDeadline } from "@postrider/testkit/wait.ts";

/** An undefined one is not sent. */
export type Headers = Record<string, string | number | undefined>;

/** A connection to the API on which a test sends the bytes of requests itself. */
export class Connection {
  readonly socket: Socket;
  #received = "";
  readonly #ended: Promise<void>;

  constructor(baseUrl: string) {
    const { hostname, port } = new URL(baseUrl);
    this.socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    this.socket.on("data", (chunk: Buffer) => (this.#received += chunk.toString("latin1")));
    // A reset ends it, too.
    this.socket.on("error", () => undefined);
    this.#ended = new Promise((resolve) => this.socket.once("end", resolve).once("close", () => resolve()));
  }

  head(method: string, path: string, headers: Headers): void {
    const lines = Object.entries({ host: "api", "content-type": "application/json", ...headers })
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}: ${value}\r\n`);
    this.socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
  }

  /** Sends these bytes again and again until the API no longer takes them. @returns how many it took */
  async pour(chunk: Buffer): Promise<number> {
    const before = this.socket.bytesWritten;
    const closed = new Promise((resolve) => this.socket.once("close", resolve));
    while (!this.socket.destroyed) {
      if (this.socket.write(chunk)) await new Promise((resolve) => setImmediate(resolve));
      else await Promise.race([closed, new Promise((resolve) => this.socket.once("drain", resolve))]);
    }
    return this.socket.bytesWritten - before - this.socket.writableLength;
  }

  /** All responses, when the API has closed its side of the connection. */
  async untilClosed(): Promise<string> {
    await withDeadline("the API closes the connection", 60_000, this.#ended);
    return this.#received;
  }

  get received(): string {
    return this.#received;
  }

  close(): void {
    this.socket.destroy();
  }
}

/** The first response's status. */
export const statusOf = (received: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(received)?.[1]);

export const codeOf = (received: string): string | undefined => /"code":"(\w+)"/.exec(received)?.[1];
