import type { Call, ServerName } from "../generate/call.ts";
import { Connection, type Reply } from "./connection.ts";

/** Carries calls one after another; connections are kept where the protocol allows it. */
export class Sender {
  readonly #ports: Readonly<Record<ServerName, number>>;
  readonly #kept = new Map<ServerName, Connection>();

  constructor(ports: Readonly<Record<ServerName, number>>) {
    this.#ports = ports;
  }

  async send(call: Call): Promise<Reply> {
    const kept = call.isRaw ? undefined : this.#take(call.server);
    const connection = kept ?? new Connection(this.#ports[call.server]);
    let reply = await connection.exchange(call);
    if (kept !== undefined && reply.responses.length === 0 && reply.rest.length === 0 && !kept.isUsable) {
      // The server closed an idle connection just when the request was sent.
      kept.destroy();
      return this.send(call);
    }
    const [response] = reply.responses;
    // A parser that refuses a head does not know its method, and sends a body.
    if (call.method === "HEAD" && response?.status === 400)
      reply = { ...reply, rest: Buffer.alloc(0), problem: undefined };
    const isKept =
      !call.isRaw && response !== undefined && connection.isUsable && response.headers.get("connection") !== "close";
    if (isKept && reply.rest.length === 0) this.#kept.set(call.server, connection);
    else connection.destroy();
    if (!call.isRaw && reply.rest.length > 0 && reply.problem === undefined && response !== undefined) {
      reply = { ...reply, problem: "there are bytes after the response" };
    }
    return reply;
  }

  close(): void {
    for (const connection of this.#kept.values()) connection.destroy();
    this.#kept.clear();
  }

  #take(server: ServerName): Connection | undefined {
    const connection = this.#kept.get(server);
    this.#kept.delete(server);
    return connection?.isUsable === true ? connection : undefined;
  }
}
