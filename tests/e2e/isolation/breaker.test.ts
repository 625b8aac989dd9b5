import { expect, test } from "vitest";
import { answer, failing, gate, unavailableForLong } from "@postrider/testkit/receiver/behaviours.ts";
import { type Behaviour, eventOf } from "@postrider/testkit/receiver/request.ts";
import { THRESHOLD } from "@postrider/testkit/stack/settings.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const e2e = useStack({ workers: 2 });

test("three failures at one worker and two at another open the breaker", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), { retrySchedule: ["1h"] });
  const [first] = e2e.stack.runningWorkers;
  await first?.kill("SIGTERM");
  await subscriber.sendInTurn(3, "retrying");
  const [second] = e2e.stack.runningWorkers;
  await e2e.stack.startWorker();
  await second?.kill("SIGTERM");
  await subscriber.until("three failures are counted", ({ breaker }) => breaker.failures === 3);
  await subscriber.sendInTurn(2, "retrying");
  await subscriber.untilOpen();
  await e2e.stack.startWorker();
});

test("a probe that hangs delays no other subscriber on any worker", async () => {
  const hanging = gate();
  const dead = await newSubscriber(e2e, failing(THRESHOLD, answer(500), hanging), {
    timeoutMs: 20_000,
    retrySchedule: ["1h"],
  });
  await dead.trip();
  await dead.send(5);
  await dead.endpoint.untilRequests(THRESHOLD + 1);
  const probedAt = performance.now();
  const healthy = await newSubscriber(e2e);
  // A probe that takes longer than a second is one that something waits for.
  while (performance.now() - probedAt < 2_500) await healthy.sendInTurn(1, "delivered");
  expect(dead.endpoint.requests).toHaveLength(THRESHOLD + 1);
  hanging.open();
});

test.concurrent("the breaker opens after five consecutive failures and not after four, and holds new deliveries", async () => {
  const subscriber = await newSubscriber(e2e, unavailableForLong, { retrySchedule: ["1h"] });
  await subscriber.sendInTurn(THRESHOLD - 1, "retrying");
  const before = await subscriber.until("four are counted", ({ breaker }) => breaker.failures === THRESHOLD - 1);
  expect(before.breaker).toEqual({ state: "closed", failures: THRESHOLD - 1, retryAt: null });
  await subscriber.sendInTurn(1, "retrying");
  const { breaker } = await subscriber.untilOpen();
  expect(breaker).toMatchObject({ state: "open", failures: THRESHOLD });
  expect(Date.parse(breaker.retryAt ?? "")).toBeGreaterThan(Date.now());

  const [event] = await subscriber.sendInTurn(1, "held");
  expect(await e2e.api.deliveryOf(event!)).toMatchObject({
    heldReason: "breaker",
    attemptCount: 0,
    attempts: [],
    settledAt: null,
  });
  expect(subscriber.endpoint.requests).toHaveLength(THRESHOLD);
});

test.concurrent("five failed attempts of one delivery open the breaker, which holds its next retry", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), { retrySchedule: Array<string>(9).fill("50ms") });
  const [event] = await subscriber.send(1);
  const { heldReason, attempts } = await e2e.api.untilDelivery(event!, "held");
  expect(heldReason).toBe("breaker");
  expect(attempts.filter((attempt) => attempt.trigger === "auto")).toHaveLength(THRESHOLD);
  subscriber.endpoint.behave(answer(200));
  await e2e.api.untilDelivery(event!, "delivered");
});

test.concurrent("a success between failures keeps the breaker closed", async () => {
  const subscriber = await newSubscriber(e2e, failing(4, answer(500)), { retrySchedule: ["1h"] });
  await subscriber.sendInTurn(4, "retrying");
  await subscriber.until("four are counted", ({ breaker }) => breaker.failures === 4);
  await subscriber.sendInTurn(1, "delivered");
  await subscriber.until("none is counted", ({ breaker }) => breaker.failures === 0);
  subscriber.endpoint.behave(answer(500));
  await subscriber.sendInTurn(4, "retrying");
  const { breaker } = await subscriber.until("four are counted again", ({ breaker }) => breaker.failures === 4);
  expect(breaker).toEqual({ state: "closed", failures: 4, retryAt: null });
  await subscriber.sendInTurn(1, "retrying");
  await subscriber.untilOpen();
});

test.concurrent("the breaker opens for one subscription only, although another has the same URL", async () => {
  const subscriber = await newSubscriber(e2e, unavailableForLong);
  await subscriber.trip();
  const tenant = `${subscriber.tenant}-2`;
  const other = await e2e.api.subscribe({ tenant, url: subscriber.endpoint.url });
  subscriber.endpoint.behave(answer(200));
  const event = await e2e.api.send({ type: "order.created", data: 1, tenant });
  expect(await e2e.api.untilDelivery(event.id, "delivered")).toMatchObject({ attemptCount: 1 });
  expect((await e2e.api.subscription(other.id)).breaker.state).toBe("closed");
  expect((await subscriber.look()).breaker.state).toBe("open");
});

test.concurrent.each([429, 503])(
  "Retry-After on the %i that opens the breaker lengthens the cooldown",
  async (status) => {
    const away = answer(status, { headers: { "retry-after": "3" } });
    const subscriber = await newSubscriber(e2e, away, { retrySchedule: ["1h"] });
    await subscriber.trip();
    const opened = Math.min(...subscriber.endpoint.requests.map((request) => request.at));
    await subscriber.backlog(1);
    const requests = await subscriber.endpoint.untilRequests(THRESHOLD + 1);
    expect((requests.at(-1)?.at ?? 0) - opened).toBeGreaterThanOrEqual(2_995);
  },
);

test.concurrent("Retry-After on a failed probe lengthens the next cooldown", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), { retrySchedule: ["1h"] });
  await subscriber.trip();
  subscriber.endpoint.behave(answer(503, { headers: { "retry-after": "3" } }));
  await subscriber.backlog(1);
  const requests = await subscriber.endpoint.untilRequests(THRESHOLD + 2);
  const [first, second] = requests.slice(THRESHOLD);
  expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(2_995);
});

test.concurrent("Retry-After on a 500 does not lengthen the cooldown", async () => {
  const away = answer(500, { headers: { "retry-after": "3000" } });
  const subscriber = await newSubscriber(e2e, away, { retrySchedule: ["1h"] });
  await subscriber.trip();
  await subscriber.backlog(1);
  await subscriber.endpoint.untilRequests(THRESHOLD + 1);
});

test.concurrent("a failure of a request sent before the breaker opened does not open it again after it closed", async () => {
  const slow = gate(answer(500));
  const late: string[] = [];
  // Under load, so that many are on the wire: it works, then hangs, then fails.
  const collapsing: Behaviour = (request, response) => {
    if (request.number <= 100) return answer(200, { afterMs: 20 })(request, response);
    if (late.length > THRESHOLD) return answer(500)(request, response);
    late.push(eventOf(request));
    slow(request, response);
  };
  const subscriber = await newSubscriber(e2e, collapsing, { retrySchedule: ["24h"], timeoutMs: 30_000 });
  for (let batch = 0; batch < 6; batch += 1) await subscriber.send(50);
  await subscriber.untilOpen();
  expect(late).toHaveLength(THRESHOLD + 1);
  subscriber.endpoint.behave(answer(200));
  const held = await subscriber.send(1);
  await subscriber.untilEvery(held, "delivered");
  await subscriber.untilClosed();

  slow.open();
  const failed = await subscriber.untilEvery(late, "retrying");
  expect(failed.map((one) => one.attemptCount)).toEqual(late.map(() => 1));
  expect((await subscriber.look()).breaker).toMatchObject({ state: "closed", retryAt: null });
  const [next] = await subscriber.sendInTurn(1, "delivered");
  expect(await e2e.api.deliveryOf(next!)).toMatchObject({ attemptCount: 1 });
});

test.concurrent("at most one probe is in flight, however long it takes", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), { retrySchedule: ["1h"], timeoutMs: 30_000 });
  const clock = await newSubscriber(e2e, answer(500), { retrySchedule: ["1h"] });
  await subscriber.trip();
  const probe = gate();
  subscriber.endpoint.behave(probe);
  const held = await subscriber.backlog(20);
  await waitFor("the probe is on the wire", () => subscriber.endpoint.inFlight === 1);
  // Another subscriber's cooldowns pass meanwhile.
  await clock.trip();
  await clock.backlog(3);
  await clock.endpoint.untilRequests(THRESHOLD + 3);
  expect(subscriber.endpoint.requests).toHaveLength(THRESHOLD + 1);
  expect((await subscriber.look()).breaker.state).toBe("half_open");
  probe.open();
  const delivered = await subscriber.untilEvery(held, "delivered");
  const probed = delivered.find((one) => one.event === eventOf(subscriber.endpoint.requests[THRESHOLD]));
  expect(await e2e.api.delivery(probed!.id)).toMatchObject({ attemptCount: 1, attempts: [{ trigger: "probe" }] });
});
