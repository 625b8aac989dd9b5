import { describe, expect, test } from "vitest";
import { answer, unavailableForLong } from "@postrider/testkit/receiver/behaviours.ts";
import { eventOf } from "@postrider/testkit/receiver/request.ts";
import { THRESHOLD } from "@postrider/testkit/stack/settings.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useStack } from "@postrider/testkit/vitest.ts";

const onceADay = { retrySchedule: ["24h"] };

describe("DISABLE_AFTER", () => {
  const e2e = useStack({ env: { DISABLE_AFTER: "3s", BREAKER_COOLDOWN: "500ms" } });

  test.concurrent("a subscription that fails for DISABLE_AFTER is disabled and holds its deliveries until it is enabled", async () => {
    const subscriber = await newSubscriber(e2e, answer(500), onceADay);
    await subscriber.trip();
    const began = subscriber.endpoint.requests[0]?.at ?? 0;
    const backlog = await subscriber.backlog(20);
    const disabled = await subscriber.until("it is disabled", ({ status }) => status === "disabled");
    expect(disabled.disabledReason).toBe("failing");
    await subscriber.untilClosed();
    expect(Date.now() - began).toBeGreaterThanOrEqual(3_000);
    const requests = subscriber.endpoint.requests.length;

    const event = await e2e.api.send({ type: "order.created", data: 1, tenant: subscriber.tenant });
    expect(event.deliveries).toBe(1);
    expect(await e2e.api.untilDelivery(event.id, "held")).toMatchObject({ heldReason: "disabled", attempts: [] });
    expect((await subscriber.look()).held).toBe(21);
    // Another subscriber's cooldowns pass, and here is no probe any more.
    const clock = await newSubscriber(e2e, answer(500), onceADay);
    await clock.trip();
    await clock.backlog(1);
    await clock.endpoint.untilRequests(THRESHOLD + 2);
    expect(subscriber.endpoint.requests.length).toBeLessThanOrEqual(requests + 1);

    subscriber.endpoint.behave(answer(200));
    expect(await e2e.api.enable(subscriber.id)).toMatchObject({ status: "active", disabledReason: null });
    await subscriber.untilEvery([...backlog, event.id], "delivered");
  });

  test.concurrent("a subscription that is enabled and still fails is disabled after another DISABLE_AFTER", async () => {
    const subscriber = await newSubscriber(e2e, answer(500), onceADay);
    await subscriber.trip();
    await subscriber.backlog(20);
    await subscriber.until("it is disabled", ({ status }) => status === "disabled");
    const requests = subscriber.endpoint.requests.length;
    const enabled = Date.now();
    await e2e.api.enable(subscriber.id);
    await subscriber.endpoint.untilRequests(requests + 2);
    await subscriber.until("it is disabled again", ({ status }) => status === "disabled");
    expect(Date.now() - enabled).toBeGreaterThanOrEqual(3_000);
  });

  test.concurrent("a subscription that failed, got nothing for DISABLE_AFTER and then fails is disabled only after another DISABLE_AFTER", async () => {
    const subscriber = await newSubscriber(e2e, answer(500), { retrySchedule: [] });
    await subscriber.sendInTurn(THRESHOLD, "dead");
    // Nothing is held, so no probe is made. Another one fails all the time, until it is disabled.
    const clock = await newSubscriber(e2e, answer(500), onceADay);
    await clock.trip();
    await clock.backlog(1);
    await clock.until("DISABLE_AFTER is over", ({ status }) => status === "disabled");
    const again = Date.now();
    await subscriber.send(1);
    await subscriber.until("it is disabled", ({ status }) => status === "disabled");
    expect(Date.now() - again).toBeGreaterThanOrEqual(3_000);
  });

  test.concurrent("a subscription that fails on one event and accepts others stays active", async () => {
    const subscriber = await newSubscriber(e2e, answer(500), { retrySchedule: Array<string>(8).fill("500ms") });
    const [poison] = await subscriber.send(1);
    subscriber.endpoint.behave((request, response) => {
      response.writeHead(eventOf(request) === poison ? 500 : 200).end();
    });
    for (let tries = 1; tries <= 9; tries += 1) {
      await subscriber.endpoint.untilRequests(2 * tries - 1);
      await subscriber.sendInTurn(1, "delivered");
    }
    expect(await e2e.api.untilDelivery(poison!, "dead")).toMatchObject({ deadReason: "exhausted", attemptCount: 9 });
    expect(await subscriber.look()).toMatchObject({ status: "active", disabledReason: null });
  });
});

describe("HOLD_LIMIT", () => {
  const e2e = useStack({
    env: { HOLD_LIMIT: "3s", BREAKER_COOLDOWN: "500ms", WATCHDOG_INTERVAL: "500ms" },
  });

  test.concurrent("a delivery that a paused subscription holds for HOLD_LIMIT is dead-lettered as expired, without a request", async () => {
    const subscriber = await newSubscriber(e2e);
    await e2e.api.pause(subscriber.id);
    const backlog = await subscriber.backlog(5);
    for (const delivery of await subscriber.untilEvery(backlog, "dead")) {
      expect(delivery).toMatchObject({ deadReason: "expired", heldReason: null, attemptCount: 0 });
      expect(Date.parse(delivery.settledAt ?? "") - Date.parse(delivery.createdAt)).toBeGreaterThanOrEqual(3_000);
    }
    expect(subscriber.endpoint.requests).toHaveLength(0);
  });

  test.concurrent("a delivery that an open breaker holds for HOLD_LIMIT is dead-lettered as expired and can be retried", async () => {
    const subscriber = await newSubscriber(e2e, unavailableForLong, onceADay);
    await subscriber.trip();
    const backlog = await subscriber.backlog(5);
    const dead = await subscriber.untilEvery(backlog, "dead");
    expect(new Set(dead.map((one) => one.deadReason))).toEqual(new Set(["expired"]));
    await subscriber.until("nothing is held", ({ held }) => held === 0);
    subscriber.endpoint.behave(answer(200));
    for (const { id } of dead) await e2e.api.retry(id);
    await subscriber.untilEvery(backlog, "delivered");
  });

  test.concurrent("a probe does not restart HOLD_LIMIT", async () => {
    const subscriber = await newSubscriber(e2e, answer(500), onceADay);
    await subscriber.trip();
    const [event] = await subscriber.backlog(1);
    const dead = await e2e.api.untilDelivery(event!, "dead");
    expect(dead.deadReason).toBe("expired");
    expect(dead.attempts.length).toBeGreaterThanOrEqual(2);
    expect(new Set(dead.attempts.map((attempt) => attempt.trigger))).toEqual(new Set(["probe"]));
  });
});
