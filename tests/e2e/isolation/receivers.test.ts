import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import { type Behaviour, gapsBetween } from "@postrider/testkit/receiver/request.ts";
import { newSubscriber, type Subscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useStack } from "@postrider/testkit/vitest.ts";

const RECENT_SUCCESS_MS = 2_000;
const COOLDOWN_MS = 2_000;
const e2e = useStack({
  workers: 2,
  env: { BREAKER_RECENT_SUCCESS: `${RECENT_SUCCESS_MS}ms`, BREAKER_COOLDOWN: `${COOLDOWN_MS}ms` },
});

/** Posts events at a steady rate until the time is over or `isOver` says so. @returns their ids */
async function load(
  subscriber: Subscriber,
  { perSecond, seconds, isOver }: { perSecond: number; seconds: number; isOver?: () => Promise<boolean> },
): Promise<string[]> {
  const startedAt = performance.now();
  const sent: string[] = [];
  while (performance.now() - startedAt < seconds * 1_000) {
    if (await isOver?.()) break;
    const due = Math.floor(((performance.now() - startedAt) * perSecond) / 1_000) - sent.length;
    if (due > 0) sent.push(...(await subscriber.send(due)));
    await sleep(50);
  }
  return sent;
}

const isNotClosed = (subscriber: Subscriber) => async () => (await subscriber.look()).breaker.state !== "closed";

/** Refuses requests beyond its capacity, requests per second: a token bucket that holds 0.2 s of it. */
function overloaded(capacity: number): Behaviour {
  let tokens = 0;
  let filledAt = performance.now();
  return (request, response) => {
    const now = performance.now();
    tokens = Math.min(capacity / 5 + 1, tokens + ((now - filledAt) * capacity) / 1_000);
    filledAt = now;
    const hasCapacity = tokens >= 1;
    if (hasCapacity) tokens -= 1;
    answer(hasCapacity ? 200 : 429)(request, response);
  };
}

test.concurrent("a subscriber that fails three of ten requests receives all events, and its breaker never opens", async () => {
  const flaky: Behaviour = (request, response) => answer((request.number * 7) % 10 < 3 ? 500 : 200)(request, response);
  const subscriber = await newSubscriber(e2e, flaky, { retrySchedule: Array<string>(9).fill("500ms") });
  const sent = await load(subscriber, { perSecond: 20, seconds: 8 });
  const delivered = await subscriber.untilEvery(sent, "delivered");
  const failures = subscriber.endpoint.requests.filter(({ status }) => status === 500);
  expect(failures.length).toBeGreaterThan(0.2 * subscriber.endpoint.requests.length);
  // While a breaker is open, deliveries are held and probed.
  const retried = delivered.filter(({ attemptCount }) => attemptCount > 1);
  for (const { id } of retried) {
    const { attempts } = await e2e.api.delivery(id);
    expect(new Set(attempts.map(({ trigger }) => trigger))).toEqual(new Set(["auto"]));
  }
});

test.concurrent("a subscriber that can take half of its events gets most of its capacity, and few dead letters", async () => {
  const capacity = 20;
  const subscriber = await newSubscriber(e2e, overloaded(capacity), {
    retrySchedule: ["1s", "1s", "2s", "2s", "4s", "4s"],
  });
  const startedAt = Date.now();
  const sent = await load(subscriber, { perSecond: 2 * capacity, seconds: 22 });
  // Three intervals of two seconds pass before the pace starts.
  const requests = subscriber.endpoint.requests.filter(({ at }) => at - startedAt > 10_000);
  const seconds = (requests.at(-1)!.at - requests[0]!.at) / 1_000;
  const taken = requests.filter(({ status }) => status === 200).length;
  expect(taken / seconds).toBeGreaterThan(0.6 * capacity);
  // Without a pace these would be 40 a second and the retries of half of them.
  expect(requests.length / seconds).toBeLessThan(2 * capacity);
  const { heldReasons, breaker } = await subscriber.look();
  expect(breaker.state).toBe("closed");
  expect(heldReasons?.["pace"]).toBeGreaterThan(0);
  const dead = (await subscriber.deliveries()).filter(({ status }) => status === "dead");
  expect(dead.length).toBeLessThan(0.02 * sent.length);
});

async function dieUnderLoad(subscriber: Subscriber): Promise<{ sent: string[]; lastSuccessAt: number }> {
  const sent = await load(subscriber, { perSecond: 20, seconds: 2 });
  await subscriber.untilEvery(sent, "delivered");
  const lastSuccessAt = subscriber.endpoint.requests.at(-1)!.at;
  subscriber.endpoint.behave(answer(500));
  sent.push(...(await load(subscriber, { perSecond: 20, seconds: 20, isOver: isNotClosed(subscriber) })));
  return { sent, lastSuccessAt };
}

test.concurrent("a subscriber that dies under load is shut soon after its last success, and gets one probe per cooldown", async () => {
  const subscriber = await newSubscriber(e2e, answer(200), { retrySchedule: ["24h"] });
  const { lastSuccessAt } = await dieUnderLoad(subscriber);
  await subscriber.untilOpen();
  const openedAfterMs = subscriber.endpoint.requests.at(-1)!.at - lastSuccessAt;
  expect(openedAfterMs).toBeGreaterThan(RECENT_SUCCESS_MS - 500);
  // The last success and the first failure are some time apart, and a busy machine is slow to look.
  expect(openedAfterMs).toBeLessThan(RECENT_SUCCESS_MS + 8_000);

  const before = subscriber.endpoint.requests.length;
  await subscriber.backlog(50);
  const probes = (await subscriber.endpoint.untilRequests(before + 3)).slice(before);
  for (const gap of gapsBetween(probes)) expect(gap).toBeGreaterThanOrEqual(COOLDOWN_MS - 50);
});

test.concurrent("a subscriber that was shut under load and comes back receives every event, and nothing stays held", async () => {
  const subscriber = await newSubscriber(e2e, answer(200), { retrySchedule: Array<string>(8).fill("1s") });
  const { sent } = await dieUnderLoad(subscriber);
  await subscriber.untilOpen();
  sent.push(...(await load(subscriber, { perSecond: 20, seconds: 3 })));
  subscriber.endpoint.behave(answer(200));
  await subscriber.untilEvery(sent, "delivered");
  await subscriber.until("nothing is held", ({ held, breaker }) => held === 0 && breaker.state === "closed");
});
