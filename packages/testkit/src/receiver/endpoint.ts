import type { IncomingMessage, ServerResponse } from "node:http";
import { waitFor, type WaitOptions } from "../wait.ts";
import { type Behaviour, eventOf, type Received } from "./request.ts";

/** One path of the receiver: a subscriber. */
export class Endpoint {
  readonly url: string;
  /** In the order of arrival; empty if the receiver keeps none. */
  readonly requests: Received[] = [];
  /** Requests that have arrived and are not answered yet: now, and the highest number so far. */
  inFlight = 0;
  peakInFlight = 0;
  readonly #keepsRequests: boolean;
  #behaviour: Behaviour;
  #count = 0;

  constructor(url: string, behaviour: Behaviour, keepsRequests = true) {
    this.url = url;
    this.#behaviour = behaviour;
    this.#keepsRequests = keepsRequests;
  }

  /** Takes effect with the next request. */
  behave(behaviour: Behaviour): void {
    this.#behaviour = behaviour;
  }

  /** The distinct `webhook-id`s received. */
  eventIds(): Set<string> {
    return new Set(this.requests.map(eventOf));
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
      number: 0,
      cutShort: false,
    };
    const chunks: Buffer[] = [];
    this.inFlight += 1;
    this.peakInFlight = Math.max(this.peakInFlight, this.inFlight);
    response.on("error", () => undefined);
    response.on("close", () => {
      this.inFlight -= 1;
      request.cutShort = !response.writableFinished;
      if (response.writableFinished) request.status = response.statusCode;
    });
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      request.body = Buffer.concat(chunks);
      this.#count += 1;
      request.number = this.#count;
      if (this.#keepsRequests) this.requests.push(request);
      this.#behaviour(request, response);
    });
  }
}
