import { setTimeout as pause } from "node:timers/promises";
import { Pool } from "undici";
import type { AcceptedEvent, PostedEvent } from "./evidence.ts";
import { Random } from "./random.ts";
import { EVENT_TYPES, TENANTS } from "./subscribers.ts";

const TICK_MS = 25;
const ANSWER_DEADLINE_MS = 5_000;
const AGAIN_AFTER_MS = 250;
/** Longer than any outage of the plan; after it even a keyed event counts as unknown. */
const GIVE_UP_AFTER_MS = 60_000;
/** While ingest is down this many requests wait and repeat; more would only add a second fault. */
const MAX_IN_FLIGHT = 300;

interface Request {
  events: PostedEvent[];
  path: string;
  headers: Record<string, string>;
  body: string;
}

/** Steady load through the API: single posts and batches, with idempotency keys and without. */
export class Load {
  readonly accepted = new Map<string, AcceptedEvent>();
  readonly unknown: PostedEvent[] = [];
  /** Answers that no valid request should get. */
  readonly refused: string[] = [];
  posted = 0;
  readonly #pool: Pool;
  readonly #apiKey: string;
  readonly #random: Random;
  readonly #inFlight = new Set<Promise<void>>();
  #stopped = false;

  constructor(apiUrl: string, apiKey: string, seed: number) {
    this.#pool = new Pool(apiUrl, {
      connections: 32,
      headersTimeout: ANSWER_DEADLINE_MS,
      bodyTimeout: ANSWER_DEADLINE_MS,
    });
    this.#apiKey = apiKey;
    this.#random = new Random(seed ^ 0x10ad);
  }

  /** Posts `rate` events a second until it is stopped. */
  async run(rate: number): Promise<void> {
    let owed = 0;
    let last = Date.now();
    while (!this.#stopped) {
      const now = Date.now();
      // Events that were due during an outage are not posted in one burst after it.
      owed = Math.min(owed + ((now - last) / 1000) * rate, rate);
      last = now;
      while (owed >= 1 && this.#inFlight.size < MAX_IN_FLIGHT) {
        const request = this.#next();
        owed -= request.events.length;
        const posting = this.#post(request);
        this.#inFlight.add(posting);
        void posting.finally(() => this.#inFlight.delete(posting));
      }
      await pause(TICK_MS);
    }
  }

  /** Stops posting and waits for outstanding answers. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#inFlight);
    await this.#pool.destroy();
  }

  #next(): Request {
    const random = this.#random;
    const size = random.next() < 0.8 ? 1 : random.integer(2, 30);
    const keyed = random.next() < 0.5;
    const events = Array.from({ length: size }, (): PostedEvent => {
      this.posted += 1;
      return { ref: `e${this.posted}`, tenant: random.pick(TENANTS), type: random.pick(EVENT_TYPES), keyed };
    });
    const bodies = events.map(({ ref, tenant, type }) => ({
      type,
      tenant,
      data: { ref, filler: "x".repeat(random.integer(0, 600)) },
      ...(keyed && size > 1 ? { idempotencyKey: ref } : {}),
    }));
    const headers = { authorization: `Bearer ${this.#apiKey}`, "content-type": "application/json" };
    if (size > 1) {
      return { events, path: "/v1/events/batch", headers, body: JSON.stringify({ events: bodies }) };
    }
    const key = keyed ? { "idempotency-key": events[0]!.ref } : {};
    return { events, path: "/v1/events", headers: { ...headers, ...key }, body: JSON.stringify(bodies[0]) };
  }

  /** With a key a request is repeated until it is answered; without one a missing answer leaves the events unknown. */
  async #post(request: Request): Promise<void> {
    const { events } = request;
    const deadline = Date.now() + GIVE_UP_AFTER_MS;
    do {
      const ids = await this.#ask(request).catch(() => undefined);
      if (ids) {
        const acceptedAt = Date.now();
        for (const [index, id] of ids.entries()) this.accepted.set(id, { ...events[index]!, acceptedAt });
        return;
      }
      if (!events[0]!.keyed) break;
      await pause(AGAIN_AFTER_MS);
    } while (Date.now() < deadline);
    this.unknown.push(...events);
  }

  /** @returns the ids, in order; undefined if the events may or may not be stored, as after a 503 during a commit */
  async #ask({ path, headers, body }: Request): Promise<string[] | undefined> {
    const answer = await this.#pool.request({ method: "POST", path, headers, body });
    const text = await answer.body.text();
    if (answer.statusCode === 202) {
      const parsed = JSON.parse(text) as { id: string } | { data: { id: string }[] };
      return "data" in parsed ? parsed.data.map(({ id }) => id) : [parsed.id];
    }
    if (answer.statusCode < 500) this.refused.push(`${answer.statusCode} ${text.slice(0, 200)}`);
    return undefined;
  }
}
