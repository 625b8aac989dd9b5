import { expect, test } from "vitest";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import { eventOf, gapsBetween } from "@postrider/testkit/receiver/request.ts";
import { THRESHOLD } from "@postrider/testkit/stack/settings.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useStack } from "@postrider/testkit/vitest.ts";

const cooldownMs = 500;
const e2e = useStack({ workers: 2, env: { BREAKER_COOLDOWN: `${cooldownMs}ms` } });

const onceADay = { retrySchedule: ["24h"] };

test.concurrent("a subscriber that is down gets one probe per cooldown, whatever its backlog and the number of workers", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), onceADay);
  await subscriber.trip();
  const backlog = await subscriber.backlog(300);
  await subscriber.endpoint.untilRequests(THRESHOLD + 6);

  // The next cooldown begins when the failure is counted, which is after it was sent.
  const sincePenultimateFailure = subscriber.requestsAfter(THRESHOLD - 1);
  for (const gap of gapsBetween(sincePenultimateFailure)) expect(gap).toBeGreaterThanOrEqual(cooldownMs - 5);
  const now = await subscriber.look();
  expect(now).toMatchObject({ held: backlog.length, heldReasons: { breaker: backlog.length } });
  expect(now.breaker.failures).toBeGreaterThanOrEqual(THRESHOLD);

  subscriber.endpoint.behave(answer(200));
  await subscriber.untilEvery(backlog, "delivered");
  const { breaker, held } = await subscriber.look();
  expect({ breaker, held }).toEqual({ breaker: { state: "closed", failures: 0, retryAt: null }, held: 0 });
});

test.concurrent("a probe is a numbered attempt of a delivery that stays held", async () => {
  const subscriber = await newSubscriber(e2e, answer(500, { body: "still down" }), onceADay);
  await subscriber.trip();
  const [event] = await subscriber.backlog(1);
  await subscriber.endpoint.untilRequests(THRESHOLD + 3);
  const held = await e2e.api.untilDelivery(event!, "held");
  expect(held.heldReason).toBe("breaker");
  expect(held.attemptCount).toBeGreaterThanOrEqual(2);
  const attempts = held.attempts.toSorted((a, b) => a.number - b.number);
  expect(attempts.map(({ number }) => number)).toEqual(attempts.map((_, index) => index + 1));
  for (const attempt of attempts) {
    expect(attempt).toMatchObject({ trigger: "probe", responseStatus: 500, responseBody: "still down" });
  }
});

test.concurrent("probes use the held deliveries in turn", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), onceADay);
  await subscriber.trip();
  const backlog = await subscriber.backlog(3);
  await subscriber.endpoint.untilRequests(THRESHOLD + 6);
  const probed = subscriber.requestsAfter(THRESHOLD).slice(0, 6).map(eventOf);
  expect(new Set(probed.slice(0, 3))).toEqual(new Set(backlog));
  expect(probed.slice(3)).toEqual(probed.slice(0, 3));
});

test.concurrent("an outage longer than the retry schedule dead-letters no held delivery", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), { retrySchedule: ["700ms"] });
  const events = await subscriber.send(THRESHOLD);
  // Their only retry comes due while the breaker is open.
  const due = await subscriber.untilEvery(events, "held");
  for (const delivery of due) expect(delivery.heldReason).toBe("breaker");
  events.push(...(await subscriber.backlog(5)));
  await subscriber.endpoint.untilRequests(THRESHOLD + 6);

  // Nothing but the first request of five of them and the probes has been spent.
  for (const { id } of await subscriber.untilEvery(events, "held")) {
    const { attempts } = await e2e.api.delivery(id);
    const spent = attempts.filter((attempt) => attempt.trigger !== "probe");
    expect(spent.length).toBe(due.some((one) => one.id === id) ? 1 : 0);
  }
  subscriber.endpoint.behave(answer(200));
  await subscriber.untilEvery(events, "delivered");
});

test.concurrent("an event that its subscriber always refuses does not block the recovery of the subscriber", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), { retrySchedule: Array<string>(6).fill("50ms") });
  const [poison] = await subscriber.send(1);
  subscriber.endpoint.behave((request, response) => {
    response.writeHead(eventOf(request) === poison ? 500 : 200).end();
  });
  await subscriber.untilOpen();
  const others = await subscriber.send(50);
  await subscriber.untilEvery(others, "delivered");
  const dead = await e2e.api.untilDelivery(poison!, "dead");
  expect(dead.deadReason).toBe("exhausted");
  expect(dead.attempts.filter((attempt) => attempt.trigger !== "probe")).toHaveLength(7);
  const [later] = await subscriber.sendInTurn(1, "delivered");
  expect(await e2e.api.deliveryOf(later!)).toMatchObject({ attemptCount: 1 });
});

test.concurrent("three refused events at the front of the backlog do not block the recovery", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), onceADay);
  await subscriber.trip();
  const poison = new Set(await subscriber.backlog(3));
  const others = await subscriber.backlog(20);
  subscriber.endpoint.behave((request, response) => {
    response.writeHead(poison.has(eventOf(request)) ? 500 : 200).end();
  });
  await subscriber.untilEvery(others, "delivered");
});
