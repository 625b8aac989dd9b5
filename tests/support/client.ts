import { waitFor, type WaitOptions } from "./wait.ts";

export interface Accepted {
  id: string;
  type: string;
  tenant: string;
  createdAt: string;
  deliveries: number;
  duplicate: boolean;
}

export interface Event {
  id: string;
  type: string;
  tenant: string;
  createdAt: string;
  data: unknown;
}

export interface NewEvent {
  type: string;
  data: unknown;
  tenant?: string;
  idempotencyKey?: string;
}

export interface Subscription {
  id: string;
  tenant: string;
  url: string;
  eventTypes: string[];
  description: string | null;
  headers: Record<string, string>;
  rateLimit: number | null;
  maxInFlight: number;
  timeoutMs: number;
  retrySchedule: string[] | string;
  metadata: Record<string, unknown>;
  status: "active" | "paused" | "disabled";
  disabledReason: string | null;
  breaker: { state: "closed" | "open" | "half_open"; failures: number; retryAt: string | null };
  held: number;
  /** How many are held for each reason, and since when: there while something is held. */
  heldReasons?: Record<string, number>;
  oldestHeldAt?: string;
  createdAt: string;
  updatedAt: string;
}

export interface NewSubscription {
  url: string;
  eventTypes?: string[];
  tenant?: string;
  description?: string;
  secret?: string;
  headers?: Record<string, string>;
  rateLimit?: number;
  maxInFlight?: number;
  timeoutMs?: number;
  retrySchedule?: string[] | string;
  metadata?: Record<string, unknown>;
}

export type DeliveryStatus = "pending" | "retrying" | "held" | "delivered" | "dead" | "cancelled";

export interface Delivery {
  id: string;
  event: string;
  subscription: string;
  tenant: string;
  eventType: string;
  status: DeliveryStatus;
  heldReason: string | null;
  deadReason: string | null;
  attemptCount: number;
  nextAttemptAt: string | null;
  lastError: string | null;
  createdAt: string;
  settledAt: string | null;
}

interface Attempt {
  id: string;
  number: number;
  trigger: "auto" | "manual" | "probe";
  startedAt: string;
  durationMs: number;
  responseStatus: number | null;
  responseBody: string | null;
  error: string | null;
}

export interface DeliveryWithAttempts extends Delivery {
  attempts: Attempt[];
}

export interface Page<T> {
  data: T[];
  nextCursor: string | null;
}

export interface Problem {
  code: string;
  status: number;
  title: string;
  errors?: { field: string; message: string }[];
}

export interface Answer<T> {
  status: number;
  headers: Headers;
  body: T;
}

export interface CallOptions {
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is, in place of `body`. */
  raw?: string;
  headers?: Record<string, string>;
  /** Another key than the client's; `null` sends none. */
  key?: string | null;
}

/** The REST API as a caller sees it. `call` answers whatever came; the other methods throw on any but the good status. */
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
      signal: AbortSignal.timeout(15_000),
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

  /** The one delivery of an event that one subscription wants. */
  async deliveryOf(eventId: string): Promise<DeliveryWithAttempts> {
    const { data } = await this.eventDeliveries(eventId);
    const [only] = data;
    if (only === undefined || data.length > 1) throw new Error(`${eventId} has ${data.length} deliveries`);
    return this.delivery(only.id);
  }

  /** Waits until the event's one delivery is in this state. */
  async untilDelivery(eventId: string, status: DeliveryStatus, options?: WaitOptions): Promise<DeliveryWithAttempts> {
    let latest: DeliveryWithAttempts | undefined;
    try {
      return await waitFor(
        `the delivery of ${eventId} is ${status}`,
        async () => {
          latest = await this.deliveryOf(eventId);
          return latest.status === status && latest;
        },
        options,
      );
    } catch (error) {
      throw new Error(`${(error as Error).message}; delivery: ${JSON.stringify(latest)}`, { cause: error });
    }
  }
}

type Query = Record<string, string | number>;

/** Walks a list from its first page to its last. */
export async function everyPage<T>(list: (query: Query) => Promise<Page<T>>, query: Query = {}): Promise<T[][]> {
  const pages: T[][] = [];
  let cursor: string | null = null;
  do {
    const page: Page<T> = await list({ ...query, ...(cursor === null ? {} : { cursor }) });
    pages.push(page.data);
    cursor = page.nextCursor;
    if (pages.length > 1000) throw new Error("the list has no end");
  } while (cursor !== null);
  return pages;
}

function queryString(query: Query): string {
  const pairs = Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]);
  return pairs.length === 0 ? "" : `?${new URLSearchParams(pairs).toString()}`;
}
