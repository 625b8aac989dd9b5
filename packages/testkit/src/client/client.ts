import { patience } from "../wait.ts";
import type {
  Accepted,
  Delivery,
  DeliveryWithAttempts,
  Event,
  NewEvent,
  NewSubscription,
  Page,
  Subscription,
} from "./types.ts";

const ANSWER_WITHIN_MS = 60_000;

export type Query = Record<string, string | number>;

export interface Answer<T> {
  status: number;
  headers: Headers;
  body: T;
}

export interface CallOptions {
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is, instead of `body`. */
  raw?: string;
  headers?: Record<string, string>;
  /** Instead of the client's own key; `null` sends none. */
  key?: string | null;
}

/** A typed client of the REST API. `call` returns any response; the other methods throw unless the call succeeds. */
export class Client {
  readonly baseUrl: string;
  readonly key: string;

  constructor(baseUrl: string, key: string) {
    this.baseUrl = baseUrl;
    this.key = key;
  }

  async call<T = unknown>(method: string, path: string, options: CallOptions = {}): Promise<Answer<T>> {
    const key = options.key === undefined ? this.key : options.key;
    const text = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
    const response = await fetch(this.baseUrl + path, {
      method,
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(text === undefined ? {} : { "content-type": "application/json" }),
        ...options.headers,
      },
      ...(text === undefined ? {} : { body: text }),
      signal: AbortSignal.timeout(patience(ANSWER_WITHIN_MS)),
    });
    const received = await response.text();
    const isJson = /[/+]json\b/.test(response.headers.get("content-type") ?? "");
    const body = (isJson && received !== "" ? JSON.parse(received) : received) as T;
    return { status: response.status, headers: response.headers, body };
  }

  private async expect<T>(status: number, method: string, path: string, options: CallOptions = {}): Promise<T> {
    const answer = await this.call<T>(method, path, options);
    if (answer.status !== status) {
      throw new Error(
        `${method} ${path}: expected ${status}, got ${answer.status} ${JSON.stringify(answer.body).slice(0, 2000)}`,
      );
    }
    return answer.body;
  }

  private post<T>(status: number, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
    return this.expect(status, "POST", path, { ...(body === undefined ? {} : { body }), headers });
  }

  private get<T>(path: string): Promise<T> {
    return this.expect(200, "GET", path);
  }

  send({ idempotencyKey, ...event }: NewEvent): Promise<Accepted> {
    return this.post(
      202,
      "/v1/events",
      event,
      idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey },
    );
  }

  async sendBatch(events: NewEvent[]): Promise<Accepted[]> {
    return (await this.post<{ data: Accepted[] }>(202, "/v1/events/batch", { events })).data;
  }

  event(id: string): Promise<Event> {
    return this.get(`/v1/events/${id}`);
  }

  events(query: Query = {}): Promise<Page<Event>> {
    return this.get(`/v1/events${queryString(query)}`);
  }

  eventDeliveries(id: string): Promise<Page<Delivery>> {
    return this.get(`/v1/events/${id}/deliveries`);
  }

  subscribe(subscription: NewSubscription): Promise<Subscription & { secret: string }> {
    return this.post(201, "/v1/subscriptions", subscription);
  }

  subscription(id: string): Promise<Subscription> {
    return this.get(`/v1/subscriptions/${id}`);
  }

  subscriptions(query: Query = {}): Promise<Page<Subscription>> {
    return this.get(`/v1/subscriptions${queryString(query)}`);
  }

  changeSubscription(id: string, change: Record<string, unknown>): Promise<Subscription> {
    return this.expect(200, "PATCH", `/v1/subscriptions/${id}`, { body: change });
  }

  deleteSubscription(id: string): Promise<unknown> {
    return this.expect(204, "DELETE", `/v1/subscriptions/${id}`);
  }

  secret(id: string): Promise<{ secret: string }> {
    return this.get(`/v1/subscriptions/${id}/secret`);
  }

  rotateSecret(id: string, body?: { secret?: string; graceSeconds?: number }): Promise<unknown> {
    return this.post(200, `/v1/subscriptions/${id}/secret/rotate`, body);
  }

  pause(id: string): Promise<Subscription> {
    return this.post(200, `/v1/subscriptions/${id}/pause`);
  }

  resume(id: string): Promise<Subscription> {
    return this.post(200, `/v1/subscriptions/${id}/resume`);
  }

  enable(id: string): Promise<Subscription> {
    return this.post(200, `/v1/subscriptions/${id}/enable`);
  }

  delivery(id: string): Promise<DeliveryWithAttempts> {
    return this.get(`/v1/deliveries/${id}`);
  }

  deliveries(query: Query = {}): Promise<Page<Delivery>> {
    return this.get(`/v1/deliveries${queryString(query)}`);
  }

  retry(id: string): Promise<unknown> {
    return this.post(202, `/v1/deliveries/${id}/retry`);
  }
}

/** More than any list of a test has. */
const MAX_PAGES = 10_000;

/** Walks a list from its first page to its last. */
export async function everyPage<T>(list: (query: Query) => Promise<Page<T>>, query: Query = {}): Promise<T[][]> {
  const pages: T[][] = [];
  let cursor: string | null = null;
  do {
    const page: Page<T> = await list({ ...query, ...(cursor === null ? {} : { cursor }) });
    pages.push(page.data);
    cursor = page.nextCursor;
    if (pages.length > MAX_PAGES) throw new Error("the list has no end");
  } while (cursor !== null);
  return pages;
}

function queryString(query: Query): string {
  const pairs = Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]);
  return pairs.length === 0 ? "" : `?${new URLSearchParams(pairs).toString()}`;
}
