import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";

/** How one of the demo's subscribers behaves: the status that it answers an event of a type with. */
export type Behaviour = (eventType: string) => number;

/** A subscriber's side: what it received, and whether every signature was genuine. */
export interface Subscriber {
  path: string;
  behaviour: Behaviour;
  /** Set once the subscription exists. */
  secret?: string;
  requests: number;
  verified: number;
  /** Event id → when it was first answered with a 2xx, Unix milliseconds. */
  receivedAt: Map<string, number>;
}

/** A real HTTP receiver on loopback, which verifies each request with the reference library of Standard Webhooks. */
export class Receiver {
  readonly subscribers = new Map<string, Subscriber>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      void this.#answer(request).then(
        (status) =>
          response.writeHead(status, { "content-type": "text/plain" }).end(status < 300 ? "thanks\n" : "no\n"),
        () => response.destroy(),
      );
    });
  }

  add(path: string, behaviour: Behaviour): Subscriber {
    const subscriber = { path, behaviour, requests: 0, verified: 0, receivedAt: new Map<string, number>() };
    this.subscribers.set(path, subscriber);
    return subscriber;
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(request: IncomingMessage): Promise<number> {
    const subscriber = this.subscribers.get(request.url ?? "");
    if (!subscriber) return 404;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    subscriber.requests += 1;
    // Throws, and so breaks the connection, where the signature is not genuine.
    const { type } = new Webhook(subscriber.secret!).verify(
      Buffer.concat(chunks).toString("utf8"),
      request.headers as Record<string, string>,
    ) as { type: string };
    subscriber.verified += 1;
    const event = String(request.headers["webhook-id"]);
    const status = subscriber.behaviour(type);
    if (status < 300 && !subscriber.receivedAt.has(event)) subscriber.receivedAt.set(event, Date.now());
    return status;
  }
}
