import { expect, test } from "vitest";
import { answer, unavailableForLong } from "@postrider/testkit/receiver/behaviours.ts";
import { type Behaviour, eventOf } from "@postrider/testkit/receiver/request.ts";
import { THRESHOLD } from "@postrider/testkit/stack/settings.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const e2e = useSharedStack();

const onceADay = { retrySchedule: ["24h"] };

test.concurrent("a subscriber that recovers receives its whole backlog, each delivery once", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), onceADay);
  await subscriber.trip();
  const backlog = await subscriber.backlog(400);
  subscriber.endpoint.behave(answer(200));
  const back = subscriber.endpoint.requests.length;
  await subscriber.untilEvery(backlog, "delivered");
  await subscriber.until("nothing is held", ({ held }) => held === 0);
  expect((await subscriber.look()).breaker).toEqual({ state: "closed", failures: 0, retryAt: null });

  const received = subscriber.requestsAfter(back).map(eventOf);
  expect(received.toSorted()).toEqual(backlog.toSorted());
});

test.concurrent("the release of a backlog starts with a few requests and grows with successes", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), onceADay);
  await subscriber.trip();
  const backlog = await subscriber.backlog(300);
  const open: number[] = [];
  subscriber.endpoint.behave((request, response) => {
    open.push(subscriber.endpoint.inFlight);
    answer(200, { afterMs: 300 })(request, response);
  });
  await subscriber.untilEvery(backlog, "delivered");
  // Without a slow start the first batch would use all of maxInFlight.
  expect(Math.max(...open.slice(0, 20))).toBeLessThanOrEqual(10);
  expect(Math.max(...open)).toBeGreaterThan(10);
});

test.concurrent("a subscriber that fails again during its release gets a few more requests, and the rest is held", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), { retrySchedule: Array<string>(6).fill("1s") });
  const events = await subscriber.trip();
  events.push(...(await subscriber.backlog(300)));
  let taken = 0;
  let failedSince = 0;
  const relapsing: Behaviour = (_request, response) => {
    const takes = taken < 1;
    if (takes) taken += 1;
    else failedSince += 1;
    response.writeHead(takes ? 200 : 500).end();
  };
  subscriber.endpoint.behave(relapsing);
  await waitFor("it failed again", () => failedSince >= THRESHOLD);
  await subscriber.untilOpen();
  // The requests in flight when the breaker opened, and the probes until this test looked.
  expect(failedSince).toBeLessThanOrEqual(THRESHOLD + 50);
  const { heldReasons } = await subscriber.look();
  expect(heldReasons["breaker"]).toBeGreaterThanOrEqual(300 - THRESHOLD - 50);

  subscriber.endpoint.behave(answer(200));
  await subscriber.untilEvery(events, "delivered");
});

test.concurrent("a subscriber that refuses some events receives the others before the refused ones are exhausted", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), { retrySchedule: Array<string>(50).fill("100ms") });
  const refused = new Set(await subscriber.trip());
  const backlog = await subscriber.backlog(100);
  subscriber.endpoint.behave((request, response) =>
    answer(refused.has(eventOf(request)) ? 500 : 200)(request, response),
  );
  await subscriber.untilEvery(backlog, "delivered");
  const dead = (await subscriber.deliveries()).filter(({ status }) => status === "dead");
  expect(dead).toEqual([]);
});

test.concurrent("any 2xx closes the breaker", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), onceADay);
  await subscriber.trip();
  const backlog = await subscriber.backlog(3);
  subscriber.endpoint.behave(answer(204));
  await subscriber.untilEvery(backlog, "delivered");
  await subscriber.untilClosed();
});

async function shut(backlogOf: number) {
  const subscriber = await newSubscriber(e2e, unavailableForLong, onceADay);
  await subscriber.trip();
  const backlog = await subscriber.backlog(backlogOf);
  return { subscriber, backlog, endpoint: subscriber.endpoint };
}

test.concurrent("a new URL resets the breaker, and held deliveries go to the new URL", async () => {
  const { subscriber, backlog, endpoint } = await shut(20);
  const moved = e2e.receiver.endpoint();
  await e2e.api.changeSubscription(subscriber.id, { url: moved.url });
  await subscriber.untilEvery(backlog, "delivered");
  expect(moved.eventIds()).toEqual(new Set(backlog));
  expect(endpoint.requests).toHaveLength(THRESHOLD);
  expect((await subscriber.look()).breaker).toEqual({ state: "closed", failures: 0, retryAt: null });
});

test.concurrent("other changes of a subscription keep its breaker open", async () => {
  const { subscriber, backlog, endpoint } = await shut(2);
  endpoint.behave(answer(200));
  const changed = await e2e.api.changeSubscription(subscriber.id, { description: "same place", maxInFlight: 8 });
  expect(changed.breaker.state).toBe("open");
  const [next] = await subscriber.backlog(1);
  await subscriber.untilEvery([...backlog, next!], "held");
  expect(endpoint.requests).toHaveLength(THRESHOLD);
});

test.concurrent("enabling a subscription resets its breaker", async () => {
  const { subscriber, backlog, endpoint } = await shut(20);
  endpoint.behave(answer(200));
  expect(await e2e.api.enable(subscriber.id)).toMatchObject({ status: "active" });
  await subscriber.untilEvery(backlog, "delivered");
  expect((await subscriber.look()).breaker).toEqual({ state: "closed", failures: 0, retryAt: null });
});

test.concurrent("a manual retry passes an open breaker, and its success closes it and releases the rest", async () => {
  const { subscriber, backlog, endpoint } = await shut(5);
  endpoint.behave(answer(200));
  const [event, ...rest] = backlog;
  await e2e.api.retry((await e2e.api.deliveryOf(event!)).id);
  const delivered = await e2e.api.untilDelivery(event!, "delivered");
  expect(delivered).toMatchObject({ attemptCount: 1, attempts: [{ trigger: "manual", responseStatus: 200 }] });
  await subscriber.untilEvery(rest, "delivered");
  await subscriber.untilClosed();
});

test.concurrent("a manual retry that fails leaves the breaker open, and its next retry is held", async () => {
  const { subscriber, backlog, endpoint } = await shut(5);
  await e2e.api.changeSubscription(subscriber.id, { retrySchedule: ["50ms", "50ms"] });
  endpoint.behave(answer(500));
  const { id } = await e2e.api.deliveryOf(backlog[0]!);
  await e2e.api.retry(id);
  await endpoint.untilRequests(THRESHOLD + 1);
  const again = await waitFor("it is held again", async () => {
    const now = await e2e.api.delivery(id);
    return now.status === "held" && now.attemptCount === 1 && now;
  });
  expect(again).toMatchObject({ heldReason: "breaker", attempts: [{ trigger: "manual", responseStatus: 500 }] });
  await subscriber.untilEvery(backlog, "held");
  expect((await subscriber.look()).breaker.state).not.toBe("closed");
});

test.concurrent("deleting a subscription with an open breaker cancels its held deliveries", async () => {
  const { subscriber, backlog, endpoint } = await shut(150);
  await e2e.api.deleteSubscription(subscriber.id);
  const cancelled = await subscriber.untilEvery(backlog, "cancelled");
  for (const delivery of cancelled) expect(delivery).toMatchObject({ heldReason: null, attemptCount: 0 });
  expect(endpoint.requests).toHaveLength(THRESHOLD);
});
