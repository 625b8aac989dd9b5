import { setTimeout as pause } from "node:timers/promises";
import { type Client, everyPage } from "@postrider/testkit/client/client.ts";
import type { Delivery } from "@postrider/testkit/client/types.ts";
import { type ExampleEvent, githubEvents, mixedGithubEvents } from "@postrider/testkit/factories/github.ts";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import type { Receiver } from "@postrider/testkit/receiver/receiver.ts";
import { eventOf, isSignedWith } from "@postrider/testkit/receiver/request.ts";

export const TENANT = "demo";
/** "picky" rejects this event type, so each of its deliveries becomes a dead letter. */
export const POISON_TYPE = "github.ping";
/** How long "recovers" is down. */
export const DOWN_MS = 3_000;

const RETRY_SCHEDULE = ["250ms", "500ms", "1s"];
/** With retries there would be no dead letters by the end of the demo. */
const NO_RETRIES: string[] = [];
const POSTERS = 8;
const SETTLE_DEADLINE_MS = 120_000;
const POLL_MS = 250;

/** One of the demo's subscribers and its deliveries. */
export interface DemoSubscriber {
  name: string;
  id: string;
  requests: number;
  /** Requests whose signature was genuine when they arrived: it expires after five minutes. */
  verified: number;
  /** Event id → when it was first answered with a 2xx, Unix milliseconds. */
  receivedAt: Map<string, number>;
  deliveries: Delivery[];
}

export interface DemoResult {
  subscribers: Record<"works" | "recovers" | "dead" | "picky", DemoSubscriber>;
  /** The time of the 202 by event id, Unix milliseconds. */
  acceptedAt: ReadonlyMap<string, number>;
  tookMs: number;
}

interface DemoOptions {
  api: Client;
  /** It need not keep requests: 100,000 events would not fit into memory. */
  receiver: Receiver;
  events: number;
  signal: AbortSignal;
  progress: (line: string) => void;
}

/** Creates the four subscriptions, posts the events and waits until their deliveries are settled. */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { api } = options;
  const earlier = (await everyPage((query) => api.subscriptions(query), { tenant: TENANT, limit: 200 })).flat();
  for (const { id } of earlier) await api.deleteSubscription(id);
  const downUntil = Date.now() + DOWN_MS;
  const subscribers = {
    works: await subscribe(options, "works", () => 200),
    recovers: await subscribe(options, "recovers", () => (Date.now() < downUntil ? 500 : 200)),
    dead: await subscribe(options, "dead", () => 503),
    picky: await subscribe(options, "picky", (type) => (type === POISON_TYPE ? 422 : 200), NO_RETRIES),
  };
  const startedAt = Date.now();
  const acceptedAt = await postAll(options);
  await settle(options, Object.values(subscribers));
  return { subscribers, acceptedAt, tookMs: Date.now() - startedAt };
}

/** @param statusFor returns the response status for an event type; an invalid signature gets a 401 */
async function subscribe(
  { api, receiver }: DemoOptions,
  name: string,
  statusFor: (eventType: string) => number,
  retrySchedule = RETRY_SCHEDULE,
): Promise<DemoSubscriber> {
  const endpoint = receiver.endpoint(undefined, `/${name}`);
  const subscription = { url: endpoint.url, eventTypes: ["github.*"], tenant: TENANT, retrySchedule };
  const { id, secret } = await api.subscribe({ ...subscription, description: `demo: ${name}` });
  const subscriber: DemoSubscriber = { name, id, requests: 0, verified: 0, receivedAt: new Map(), deliveries: [] };
  endpoint.behave((request, response) => {
    subscriber.requests += 1;
    if (!isSignedWith(request, secret)) return answer(401)(request, response);
    subscriber.verified += 1;
    const { type } = JSON.parse(request.body.toString("utf8")) as { type: string };
    const status = statusFor(type);
    const event = eventOf(request);
    if (status < 300 && !subscriber.receivedAt.has(event)) subscriber.receivedAt.set(event, Date.now());
    answer(status)(request, response);
  });
  return subscriber;
}

async function postAll({ api, events, signal, progress }: DemoOptions): Promise<Map<string, number>> {
  const queue = chooseEvents(events).values();
  const acceptedAt = new Map<string, number>();
  const post = async () => {
    for (const event of queue) {
      if (signal.aborted) return;
      const { id } = await api.send({ ...event, tenant: TENANT });
      acceptedAt.set(id, Date.now());
      progress(`accepted ${acceptedAt.size}/${events}`);
    }
  };
  await Promise.all(Array.from({ length: POSTERS }, post));
  signal.throwIfAborted();
  return acceptedAt;
}

/** At least one of them is of the type that "picky" rejects, however few they are. */
function chooseEvents(count: number): ExampleEvent[] {
  const chosen = mixedGithubEvents(count);
  if (chosen.some(({ type }) => type === POISON_TYPE)) return chosen;
  return [...chosen.slice(0, -1), githubEvents.find(({ type }) => type === POISON_TYPE)!];
}

/** Waits until no delivery is pending or retrying, and none is held, except for the dead subscriber. */
async function settle({ api, events, signal, progress }: DemoOptions, subscribers: DemoSubscriber[]): Promise<void> {
  const deadline = Date.now() + SETTLE_DEADLINE_MS;
  for (;;) {
    signal.throwIfAborted();
    for (const subscriber of subscribers) subscriber.deliveries = await deliveriesOf(api, subscriber.id);
    const all = subscribers.flatMap(({ deliveries }) => deliveries);
    const waiting = all.filter(({ status }) => status === "pending" || status === "retrying").length;
    const held = subscribers
      .filter(({ name }) => name !== "dead")
      .flatMap(({ deliveries }) => deliveries.filter(({ status }) => status === "held")).length;
    const whyHeld = held > 0 ? `, ${held} held until the breaker's next probe` : "";
    progress(`accepted ${events}/${events}, settled ${all.length - waiting - held}/${all.length}${whyHeld}`);
    if (waiting + held === 0) break;
    if (Date.now() > deadline)
      throw new Error(`${waiting + held} deliveries did not settle within ${SETTLE_DEADLINE_MS / 1000} s`);
    await pause(POLL_MS, undefined, { signal });
  }
  progress("");
}

async function deliveriesOf(api: Client, subscription: string): Promise<Delivery[]> {
  return (await everyPage((query) => api.deliveries(query), { subscription, limit: 200 })).flat();
}
