import { describe, expect, test } from "vitest";
import { answer, unavailableForLong } from "@postrider/testkit/receiver/behaviours.ts";
import { type Behaviour, eventOf } from "@postrider/testkit/receiver/request.ts";
import { PATIENT, THRESHOLD } from "@postrider/testkit/stack/settings.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const e2e = useStack({ workers: 2, env: PATIENT });

const onceADay = { retrySchedule: ["24h"] };

describe("a subscriber that is back", () => {
  test.concurrent("has its whole backlog, each once, oldest first", async () => {
    const subscriber = await newSubscriber(e2e, answer(500), onceADay);
    await subscriber.trip();
    const backlog = await subscriber.backlog(400);
    subscriber.endpoint.behave(answer(200));
    const back = subscriber.endpoint.requests.length;
    await subscriber.untilEvery(backlog, "delivered");
    await subscriber.until("nothing is held", ({ held }) => held === 0);
    expect((await subscriber.look()).breaker).toEqual({ state: "closed", failures: 0, retryAt: null });

    // The first of them is the probe, which takes its turn.
    const received = subscriber.requestsAfter(back).map(eventOf);
    expect(received.toSorted()).toEqual(backlog.toSorted());
    const places = new Map(received.slice(1).map((event, place) => [event, place]));
    const placesOf = (events: string[]) => events.flatMap((event) => places.get(event) ?? []);
    // Two workers send them side by side: neighbours may change places, the oldest and the newest may not.
    expect(Math.max(...placesOf(backlog.slice(0, 100)))).toBeLessThan(Math.min(...placesOf(backlog.slice(-100))));
  });

  test.concurrent("has a few at a time at first, and more while it takes them", async () => {
    const subscriber = await newSubscriber(e2e, answer(500), onceADay);
    await subscriber.trip();
    const backlog = await subscriber.backlog(300);
    const open: number[] = [];
    subscriber.endpoint.behave((request, response) => {
      open.push(subscriber.endpoint.inFlight);
      answer(200, { afterMs: 100 })(request, response);
    });
    await subscriber.untilEvery(backlog, "delivered");
    // Without a slow start the first batch would have as many open as maxInFlight allows.
    expect(Math.max(...open.slice(0, 20))).toBeLessThanOrEqual(10);
    expect(Math.max(...open)).toBeGreaterThan(10);
  });

  test.concurrent("and fails again has a few requests more, and the rest is held again, and not lost", async () => {
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
    await waitFor("it failed again", () => failedSince >= THRESHOLD, { within: 20_000 });
    await subscriber.untilOpen();
    // What was on the wire when the fifth failed, and a probe or two while this test looked.
    expect(failedSince).toBeLessThanOrEqual(THRESHOLD + 25);
    const { heldReasons } = await subscriber.look();
    expect(heldReasons?.["breaker"]).toBeGreaterThanOrEqual(300 - THRESHOLD - 25);

    subscriber.endpoint.behave(answer(200));
    await subscriber.untilEvery(events, "delivered");
  });

  test.concurrent("but refuses some events for good, has the others before those have used up their schedules", async () => {
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

  test.concurrent("is believed at any 2xx", async () => {
    const subscriber = await newSubscriber(e2e, answer(500), onceADay);
    await subscriber.trip();
    const backlog = await subscriber.backlog(3);
    subscriber.endpoint.behave(answer(204));
    await subscriber.untilEvery(backlog, "delivered");
    await subscriber.untilClosed();
  });
});

describe.concurrent("a breaker that is open for long", () => {
  async function shut(backlogOf: number) {
    const subscriber = await newSubscriber(e2e, unavailableForLong, onceADay);
    await subscriber.trip();
    const backlog = await subscriber.backlog(backlogOf);
    return { subscriber, backlog, endpoint: subscriber.endpoint };
  }

  test("is reset when the URL changes: what was held goes to the new address", async () => {
    const { subscriber, backlog, endpoint } = await shut(20);
    const moved = e2e.receiver.endpoint();
    await e2e.api.changeSubscription(subscriber.id, { url: moved.url });
    await subscriber.untilEvery(backlog, "delivered");
    expect(moved.eventIds()).toEqual(new Set(backlog));
    expect(endpoint.requests).toHaveLength(THRESHOLD);
    expect((await subscriber.look()).breaker).toEqual({ state: "closed", failures: 0, retryAt: null });
  });

  test("stays open when anything else changes", async () => {
    const { subscriber, backlog, endpoint } = await shut(2);
    endpoint.behave(answer(200));
    const changed = await e2e.api.changeSubscription(subscriber.id, { description: "same place", maxInFlight: 8 });
    expect(changed.breaker.state).toBe("open");
    const [next] = await subscriber.backlog(1);
    await subscriber.untilEvery([...backlog, next!], "held");
    expect(endpoint.requests).toHaveLength(THRESHOLD);
  });

  test("is reset by enable, which a person calls who knows that the subscriber is back", async () => {
    const { subscriber, backlog, endpoint } = await shut(20);
    endpoint.behave(answer(200));
    expect(await e2e.api.enable(subscriber.id)).toMatchObject({ status: "active" });
    await subscriber.untilEvery(backlog, "delivered");
    expect((await subscriber.look()).breaker).toEqual({ state: "closed", failures: 0, retryAt: null });
  });

  test("lets a manual retry through: its success closes it and brings the rest", async () => {
    const { subscriber, backlog, endpoint } = await shut(5);
    endpoint.behave(answer(200));
    const [event, ...rest] = backlog;
    await e2e.api.retry((await e2e.api.deliveryOf(event!)).id);
    const delivered = await e2e.api.untilDelivery(event!, "delivered");
    expect(delivered).toMatchObject({ attemptCount: 1, attempts: [{ trigger: "manual", responseStatus: 200 }] });
    await subscriber.untilEvery(rest, "delivered");
    await subscriber.untilClosed();
  });

  test("lets a manual retry through that fails: the rest stays held, and so does what is retried when it is due again", async () => {
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

  test("is forgotten when the subscription is deleted, and what was held is cancelled", async () => {
    const { subscriber, backlog, endpoint } = await shut(150);
    await e2e.api.deleteSubscription(subscriber.id);
    const cancelled = await subscriber.untilEvery(backlog, "cancelled");
    for (const delivery of cancelled) expect(delivery).toMatchObject({ heldReason: null, attemptCount: 0 });
    expect(endpoint.requests).toHaveLength(THRESHOLD);
  });
});
