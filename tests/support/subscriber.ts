import { type Delivery, type DeliveryStatus, everyPage, type NewSubscription, type Subscription } from "./client.ts";
import { answer, type Behaviour, type Endpoint, type Received } from "./receiver.ts";
import { newTenant, type Used } from "./stack.ts";
import { waitFor, type WaitOptions } from "./wait.ts";

/** BREAKER_THRESHOLD, where a test does not set it. */
export const THRESHOLD = 5;

/** A failure after which nothing is probed or retried for as long as any test lasts. */
export const awayForLong = answer(503, { headers: { "retry-after": "3000" } });

type Policy = Partial<Omit<NewSubscription, "url" | "tenant">>;

/** A subscription that is alone with its tenant and its endpoint. */
export async function newSubscriber(used: Used, behaviour: Behaviour = answer(200), policy: Policy = {}) {
  const tenant = newTenant();
  const endpoint = used.receiver.endpoint(behaviour);
  const { id } = await used.api.subscribe({ tenant, url: endpoint.url, ...policy });
  return new Subscriber(used, id, tenant, endpoint);
}

export class Subscriber {
  private readonly used: Used;
  readonly id: string;
  readonly tenant: string;
  readonly endpoint: Endpoint;

  constructor(used: Used, id: string, tenant: string, endpoint: Endpoint) {
    this.used = used;
    this.id = id;
    this.tenant = tenant;
    this.endpoint = endpoint;
  }

  /** Accepts so many events in one call; their ids, oldest first. */
  async send(count: number): Promise<string[]> {
    const events = Array.from({ length: count }, (_, order) => ({
      type: "order.created",
      data: { order },
      tenant: this.tenant,
    }));
    return (await this.used.api.sendBatch(events)).map((event) => event.id);
  }

  /** Accepts so many events, each after what the one before it led to. */
  async sendInTurn(count: number, ends: DeliveryStatus): Promise<string[]> {
    const sent: string[] = [];
    for (let n = 0; n < count; n += 1) {
      const ids = await this.send(1);
      for (const id of ids) await this.used.api.untilDelivery(id, ends);
      sent.push(...ids);
    }
    return sent;
  }

  /** As many failures as open the breaker, by an endpoint that must be failing; the ids of the events. */
  async trip(): Promise<string[]> {
    const sent = await this.send(THRESHOLD);
    await this.endpoint.untilRequests(THRESHOLD);
    await this.untilOpen();
    return sent;
  }

  /** Accepts so many events while the breaker is open, and waits until it holds them; their ids, oldest first. */
  async backlog(count: number): Promise<string[]> {
    const sent: string[] = [];
    while (sent.length < count) sent.push(...(await this.send(Math.min(100, count - sent.length))));
    await this.untilEvery(sent, "held");
    return sent;
  }

  look(): Promise<Subscription> {
    return this.used.api.subscription(this.id);
  }

  async deliveries(): Promise<Delivery[]> {
    const query = { subscription: this.id, tenant: this.tenant, limit: 200 };
    return (await everyPage((page) => this.used.api.deliveries(page), query)).flat();
  }

  /** Waits until the subscription looks like this. */
  until(what: string, predicate: (now: Subscription) => boolean, options?: WaitOptions): Promise<Subscription> {
    return waitFor(
      what,
      async () => {
        const now = await this.look();
        if (predicate(now)) return now;
        throw new Error(
          JSON.stringify({ status: now.status, breaker: now.breaker, held: now.heldReasons ?? now.held }),
        );
      },
      { every: 50, ...options },
    );
  }

  untilOpen(options?: WaitOptions): Promise<Subscription> {
    return this.until("the breaker is open", ({ breaker }) => breaker.state !== "closed", options);
  }

  untilClosed(options?: WaitOptions): Promise<Subscription> {
    return this.until("the breaker is closed", ({ breaker }) => breaker.state === "closed", options);
  }

  /** Waits until the deliveries of all these events are in this state. */
  untilEvery(events: readonly string[], status: DeliveryStatus, options?: WaitOptions): Promise<Delivery[]> {
    return waitFor(
      `${events.length} deliveries are ${status}`,
      async () => {
        const wanted = new Set(events);
        const theirs = (await this.deliveries()).filter((one) => wanted.has(one.event));
        const others = theirs.filter((one) => one.status !== status);
        if (others.length > 0) throw new Error(`${others.length} are not, such as ${JSON.stringify(others[0])}`);
        return theirs.length === wanted.size && theirs;
      },
      { within: 20_000, every: 100, ...options },
    );
  }

  /** The requests after the first so many. */
  requestsAfter(count: number): Received[] {
    return this.endpoint.requests.slice(count);
  }
}

export const eventOf = (request: Received | undefined): string => String(request?.headers["webhook-id"]);

/** Milliseconds from each request to the next. */
export const gapsBetween = (requests: readonly Received[]): number[] =>
  requests.slice(1).map((one, index) => one.at - (requests[index]?.at ?? 0));
