import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { Webhook } from "standardwebhooks";
import { waitFor, type WaitOptions } from "./wait.ts";

/** One HTTP request, as it came. */
export interface Received {
  method: string;
  /** Path and query. */
  url: string;
  headers: IncomingHttpHeaders;
  /** Byte for byte. */
  body: Buffer;
  /** When its headers had arrived, Unix milliseconds. */
  at: number;
  /** The endpoint's first request is 1. */
  number: number;
  /** The connection closed before the answer was out. */
  cutShort: boolean;
}

/** What an endpoint does with a request that has arrived in full. */
export type Behaviour = (request: Received, response: ServerResponse) => void;

/** One path of the receiver: a subscriber. */
export class Endpoint {
  readonly url: string;
  readonly requests: Received[] = [];
  /** Requests that have arrived and have no answer yet, now and at most so far. */
  inFlight = 0;
  peakInFlight = 0;
  private behaviour: Behaviour;

  constructor(url: string, behaviour: Behaviour) {
    this.url = url;
    this.behaviour = behaviour;
  }

  /** From the next request on. */
  behave(behaviour: Behaviour): void {
    this.behaviour = behaviour;
  }

  /** The distinct `webhook-id`s received. */
  eventIds(): Set<string> {
    return new Set(this.requests.map((request) => String(request.headers["webhook-id"])));
  }

  async untilRequests(count: number, options?: WaitOptions): Promise<Received[]> {
    return waitFor(`${count} requests at ${this.url}`, () => this.requests.length >= count && this.requests, options);
  }

  async untilEvents(ids: Iterable<string>, options?: WaitOptions): Promise<void> {
    const wanted = [...ids];
    await waitFor(
      `${wanted.length} events at ${this.url}`,
      () => {
        const seen = this.eventIds();
        const missing = wanted.filter((id) => !seen.has(id));
        if (missing.length > 0) throw new Error(`${missing.length} missing, ${missing.slice(0, 3).join(", ")} …`);
        return true;
      },
      { every: 50, ...options },
    );
  }

  handle(incoming: IncomingMessage, response: ServerResponse): void {
    const request: Received = {
      method: incoming.method ?? "",
      url: incoming.url ?? "",
      headers: incoming.headers,
      body: Buffer.alloc(0),
      at: Date.now(),
      number: this.requests.length + 1,
      cutShort: false,
    };
    const chunks: Buffer[] = [];
    this.inFlight += 1;
    this.peakInFlight = Math.max(this.peakInFlight, this.inFlight);
    response.on("close", () => {
      this.inFlight -= 1;
      request.cutShort = !response.writableFinished;
    });
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      request.body = Buffer.concat(chunks);
      request.number = this.requests.push(request);
      this.behaviour(request, response);
    });
  }
}

export interface Receiver {
  /** A new path with a behaviour of its own; without one it answers 200 at once. */
  endpoint(behaviour?: Behaviour): Endpoint;
  /** Every request to any endpoint that the predicate wants, in the order of arrival. */
  received(predicate: (request: Received) => boolean): Received[];
  close(): Promise<void>;
}

/** A real HTTP server on loopback that plays many subscribers. */
export async function startReceiver({ host = "127.0.0.1" } = {}): Promise<Receiver> {
  const endpoints = new Map<string, Endpoint>();
  const server = createServer((request, response) => {
    const endpoint = endpoints.get(new URL(request.url ?? "/", "http://receiver").pathname);
    if (endpoint === undefined) response.writeHead(404).end();
    else endpoint.handle(request, response);
  });
  server.listen(0, host);
  await new Promise((resolve, reject) => server.once("listening", resolve).once("error", reject));
  const { port } = server.address() as AddressInfo;
  return {
    endpoint(behaviour = answer(200)) {
      const path = `/hook-${endpoints.size + 1}`;
      const endpoint = new Endpoint(`http://${host}:${port}${path}`, behaviour);
      endpoints.set(path, endpoint);
      return endpoint;
    },
    received(predicate) {
      const all = [...endpoints.values()].flatMap((endpoint) => endpoint.requests);
      return all.filter(predicate).sort((a, b) => a.at - b.at);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Whether the reference library of Standard Webhooks takes the request under this secret. */
export function isSignedWith(request: Received, secret: string): boolean {
  try {
    new Webhook(secret).verify(request.body, request.headers as Record<string, string>);
    return true;
  } catch {
    return false;
  }
}

interface AnswerOptions {
  headers?: Record<string, string>;
  body?: string | Buffer;
  /** Milliseconds before the answer begins. */
  afterMs?: number;
}

export function answer(status: number, { headers = {}, body = "", afterMs = 0 }: AnswerOptions = {}): Behaviour {
  return (_request, response) => {
    const send = () => response.writeHead(status, headers).end(body);
    if (afterMs > 0) setTimeout(send, afterMs);
    else send();
  };
}

/** Fails so many times, and then works. */
export function failing(times: number, failure: Behaviour, then: Behaviour = answer(200)): Behaviour {
  let left = times;
  return (request, response) => {
    left -= 1;
    (left >= 0 ? failure : then)(request, response);
  };
}

/** Answers nobody until it is opened; then everybody, those who wait first. */
export function gate(behaviour: Behaviour = answer(200)): Behaviour & { open(): void } {
  const waiting: (() => void)[] = [];
  let isOpen = false;
  const gated: Behaviour = (request, response) => {
    if (isOpen) behaviour(request, response);
    else waiting.push(() => behaviour(request, response));
  };
  const open = () => {
    isOpen = true;
    for (const pass of waiting.splice(0)) pass();
  };
  return Object.assign(gated, { open });
}

/** Never answers. */
export const silence: Behaviour = () => undefined;

/** Good headers at once, and then a byte now and again for ever. */
export function drip(everyMs = 50): Behaviour {
  return (_request, response) => {
    response.writeHead(200, { "content-type": "text/plain" });
    const timer = setInterval(() => response.write("."), everyMs);
    response.on("close", () => clearInterval(timer));
  };
}

/** A 200 whose body never ends, as fast as it is read. */
export const endlessBody: Behaviour = (_request, response) => {
  const chunk = Buffer.alloc(64 * 1024, "x");
  const pump = () => {
    while (!response.destroyed && response.write(chunk));
  };
  response.writeHead(200, { "content-type": "text/plain" }).on("drain", pump);
  pump();
};

/** 64 MiB of the letter A in 64 KiB of gzip, whatever encoding was asked for. */
export function gzipBomb(): Behaviour {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, "A"));
  return answer(200, { headers: { "content-encoding": "gzip", "content-type": "text/plain" }, body: bomb });
}

/** TCP reset in place of an answer. */
export const reset: Behaviour = (_request, response) => {
  response.socket?.resetAndDestroy();
};

/** Closes the connection before any header. */
export const hangUp: Behaviour = (_request, response) => {
  response.socket?.end();
};

/** Bytes that are not HTTP. */
export const garbage: Behaviour = (_request, response) => {
  response.socket?.end("SSH-2.0-OpenSSH_9.6\r\n\r\n");
};
