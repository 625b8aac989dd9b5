import { everyPage } from "../client/client.ts";
import type { PollingClient } from "../client/polling-client.ts";
import type { Delivery, DeliveryStatus, NewSubscription, Subscription } from "../client/types.ts";
import { newTenant, orders } from "../factories/events.ts";
import { answer } from "../receiver/behaviours.ts";
import type { Endpoint } from "../receiver/endpoint.ts";
import type { Receiver } from "../receiver/receiver.ts";
import type { Behaviour, Received } from "../receiver/request.ts";
import { waitFor, type WaitOptions } from "../wait.ts";
import { THRESHOLD } from "./settings.ts";

type Policy = Partial<Omit<NewSubscription, "url" | "tenant">>;

/** Where a subscriber subscribes, and where it receives. */
export interface Subscribing {
  api: PollingClient;
  receiver: Receiver;
}

/** A new subscription with a tenant and an endpoint of its own. */
export async function newSubscriber(
  { api, receiver }: Subscribing,
  behaviour: Behaviour = answer(200),
  policy: Policy = {},
): Promise<Subscriber> {
  const tenant = newTenant();
  const endpoint = receiver.endpoint(behaviour);
  const { id } = await api.subscribe({ tenant, url: endpoint.url, ...policy });
  return new Subscriber(api, id, tenant, endpoint);
}

export class Subscriber {
  readonly id: string;
  readonly tenant: string;
  readonly endpoint: Endpoint;
  readonly #api: PollingClient;

  constructor(api: PollingClient, id: string, tenant: string, endpoint: Endpoint) {
    this.#api = api;
    this.id = id;
    this.tenant = tenant;
    this.endpoint = endpoint;
  }

  /** Posts `count` events in one call. @returns their ids, oldest first */
  async send(count: number): Promise<string[]> {
    return (await this.#api.sendBatch(orders(count, this.tenant))).map((event) => event.id);
  }

  /** Posts events one by one, the next when the delivery of the one before has reached the state. */
  async sendInTurn(count: number, state: DeliveryStatus): Promise<string[]> {
    const sent: string[] = [];
    for (let n = 0; n < count; n += 1) {
      const ids = await this.send(1);
      for (const id of ids) await this.#api.untilDelivery(id, state);
      sent.push(...ids);
    }
    return sent;
  }

  /** Opens the breaker; the endpoint must be failing. @returns the ids of the events it took */
  async trip(): Promise<string[]> {
    const sent = await this.send(THRESHOLD);
    await this.endpoint.untilRequests(THRESHOLD);
    await this.untilOpen();
    // A worker that has seen none of this reads the breaker where the row has a failure.
    await this.until("its row has a failure", ({ lastFailureAt }) => lastFailureAt !== null);
    return sent;
  }

  /** Posts events while the breaker is open and waits until they are held. @returns their ids, oldest first */
  async backlog(count: number): Promise<string[]> {
    const sent: string[] = [];
    while (sent.length < count) sent.push(...(await this.send(Math.min(100, count - sent.length))));
    await this.untilEvery(sent, "held");
    return sent;
  }

  look(): Promise<Subscription> {
    return this.#api.subscription(this.id);
  }

  async deliveries(): Promise<Delivery[]> {
    const query = { subscription: this.id, tenant: this.tenant, limit: 200 };
    return (await everyPage((page) => this.#api.deliveries(page), query)).flat();
  }

  /** Waits until the subscription matches. */
  until(what: string, matches: (now: Subscription) => boolean, options?: WaitOptions): Promise<Subscription> {
    return waitFor(
      what,
      async () => {
        const now = await this.look();
        if (matches(now)) return now;
        throw new Error(JSON.stringify({ status: now.status, breaker: now.breaker, held: now.heldReasons }));
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
        const own = (await this.deliveries()).filter((one) => wanted.has(one.event));
        const others = own.filter((one) => one.status !== status);
        if (others.length > 0) throw new Error(`${others.length} are not, such as ${JSON.stringify(others[0])}`);
        return own.length === wanted.size && own;
      },
      { every: 100, ...options },
    );
  }

  /** All requests after the first `count`. */
  requestsAfter(count: number): Received[] {
    return this.endpoint.requests.slice(count);
  }
}
