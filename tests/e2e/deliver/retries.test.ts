import { Redis } from "ioredis";
import { describe, expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { freePort } from "@postrider/testkit/processes/ports.ts";
import { answer, failing, garbage, hangUp, reset } from "@postrider/testkit/receiver/behaviours.ts";
import { type Behaviour, gapsBetween } from "@postrider/testkit/receiver/request.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { fromPublicId } from "@postrider/shared/ids.ts";
import { createQueues, retryJobId } from "@postrider/shared/queue/queues.ts";

const e2e = useStack();

async function sendTo(behaviour: Behaviour, policy: { retrySchedule?: string[] | string } = {}) {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint(behaviour);
  const subscription = await e2e.api.subscribe({ tenant, url: endpoint.url, ...policy });
  const event = await e2e.api.send({ type: "order.created", data: { order: 7 }, tenant });
  return { tenant, endpoint, subscription, event };
}

describe("what fails is tried again", () => {
  test("a subscriber that fails twice has the event on the third attempt, the same id and bytes each time", async () => {
    const { endpoint, event } = await sendTo(failing(2, answer(503, { body: "later" })));
    const delivery = await e2e.api.untilDelivery(event.id, "delivered");
    expect(delivery).toMatchObject({ attemptCount: 3, nextAttemptAt: null, deadReason: null });
    expect(delivery.attempts.toSorted((a, b) => a.number - b.number)).toMatchObject([
      { number: 1, trigger: "auto", responseStatus: 503, responseBody: "later", error: null },
      { number: 2, trigger: "auto", responseStatus: 503 },
      { number: 3, trigger: "auto", responseStatus: 200 },
    ]);
    expect(endpoint.requests).toHaveLength(3);
    expect(endpoint.eventIds()).toEqual(new Set([event.id]));
    for (const request of endpoint.requests) expect(request.body).toEqual(endpoint.requests[0]?.body);
  });

  test("a job that runs before its time is not attempted before it", async () => {
    const { endpoint, event } = await sendTo(failing(1, answer(503)), { retrySchedule: ["2s"] });
    const { id } = await e2e.api.untilDelivery(event.id, "retrying");
    const redis = new Redis(e2e.stack.redisUrl, { maxRetriesPerRequest: null });
    const { retry } = createQueues(redis);
    const itsJob = () => retry.getJob(retryJobId(fromPublicId("dlv", id)!, 0));
    await waitFor("its job is delayed", async () => (await itsJob())?.isDelayed());
    await (await itsJob())!.promote();
    await waitFor("the job has run", async () => (await itsJob())?.failedReason === "not due yet");
    await e2e.api.untilDelivery(event.id, "delivered");
    expect(gapsBetween(endpoint.requests)[0]).toBeGreaterThanOrEqual(2_000 - 5);
    redis.disconnect();
  });

  test("each wait is at least what the schedule says", async () => {
    const { endpoint, event } = await sendTo(answer(500));
    await e2e.api.untilDelivery(event.id, "dead");
    const gaps = gapsBetween(endpoint.requests);
    expect(gaps).toHaveLength(3);
    for (const [index, wait] of [100, 200, 400].entries()) {
      expect(gaps[index]).toBeGreaterThanOrEqual(wait - 5);
      expect(gaps[index]).toBeLessThan(wait + 3_000);
    }
  });

  test("a subscriber that never works leaves a dead letter, exhausted, with every attempt numbered", async () => {
    const { endpoint, event } = await sendTo(answer(500, { body: "no" }));
    const delivery = await e2e.api.untilDelivery(event.id, "dead");
    expect(delivery).toMatchObject({ deadReason: "exhausted", attemptCount: 4, nextAttemptAt: null });
    expect(delivery.lastError).toEqual(expect.any(String));
    expect(delivery.settledAt).toEqual(expect.any(String));
    expect(delivery.attempts).toHaveLength(4);
    expect(new Set(delivery.attempts.map((one) => one.number))).toEqual(new Set([1, 2, 3, 4]));
    expect(endpoint.requests).toHaveLength(4);
  });

  test.each([302, 400, 401, 404, 408, 418, 425, 429, 500, 502, 503])("a %i is worth another try", async (status) => {
    const { event } = await sendTo(failing(1, answer(status)));
    const { attempts } = await e2e.api.untilDelivery(event.id, "delivered");
    expect(attempts.find((one) => one.number === 1)?.responseStatus).toBe(status);
    expect(attempts.find((one) => one.number === 2)?.responseStatus).toBe(200);
  });

  const broken: [string, Behaviour][] = [
    ["a reset connection", reset],
    ["a connection closed before any header", hangUp],
    ["an answer that is not HTTP", garbage],
  ];
  test.each(broken)("%s is worth another try, and is recorded", async (_name, behaviour) => {
    const { event } = await sendTo(failing(1, behaviour));
    const { attempts } = await e2e.api.untilDelivery(event.id, "delivered");
    expect(attempts.find((one) => one.number === 1)).toMatchObject({
      responseStatus: null,
      error: expect.stringMatching(/./) as string,
    });
    expect(attempts.find((one) => one.number === 2)).toMatchObject({ responseStatus: 200, error: null });
  });

  test.each([200, 201, 202, 204, 299])("a %i is delivered at the first attempt", async (status) => {
    const { event } = await sendTo(answer(status));
    expect(await e2e.api.untilDelivery(event.id, "delivered")).toMatchObject({ attemptCount: 1 });
  });

  test("a port where nobody listens ends as a dead letter with the reason on each attempt", async () => {
    const tenant = newTenant();
    await e2e.api.subscribe({ tenant, url: `http://127.0.0.1:${await freePort()}/`, retrySchedule: ["50ms"] });
    const event = await e2e.api.send({ type: "order.created", data: 1, tenant });
    const { attempts, deadReason } = await e2e.api.untilDelivery(event.id, "dead");
    expect(deadReason).toBe("exhausted");
    expect(attempts).toHaveLength(2);
    for (const attempt of attempts) {
      expect(attempt).toMatchObject({ responseStatus: null, error: expect.stringMatching(/refused/i) as string });
    }
  });

  test("a name that does not resolve is accepted, tried, and ends as a dead letter", async () => {
    const tenant = newTenant();
    await e2e.api.subscribe({ tenant, url: "http://nobody.invalid/hook", retrySchedule: ["50ms"] });
    const event = await e2e.api.send({ type: "order.created", data: 1, tenant });
    const delivery = await e2e.api.untilDelivery(event.id, "dead");
    expect(delivery).toMatchObject({ deadReason: "exhausted", attemptCount: 2 });
    expect(delivery.attempts[0]).toMatchObject({ responseStatus: null, error: expect.stringMatching(/./) as string });
  });
});

describe("the schedule", () => {
  test("of the process is shown on a subscription that brings none", async () => {
    const { subscription } = await sendTo(answer(200));
    expect(subscription.retrySchedule).toEqual(["100ms", "200ms", "400ms"]);
  });

  test("of a subscription overrides the process's", async () => {
    const { endpoint, subscription, event } = await sendTo(answer(500), { retrySchedule: ["300ms"] });
    expect(subscription.retrySchedule).toEqual(["300ms"]);
    expect(await e2e.api.untilDelivery(event.id, "dead")).toMatchObject({ attemptCount: 2 });
    expect(gapsBetween(endpoint.requests)[0]).toBeGreaterThanOrEqual(295);
  });

  test("named standard waits 5 s to 5.5 s before the first retry", async () => {
    const { event } = await sendTo(answer(500), { retrySchedule: "standard" });
    const { attempts, nextAttemptAt, settledAt } = await e2e.api.untilDelivery(event.id, "retrying");
    const wait = Date.parse(nextAttemptAt ?? "") - Date.parse(attempts[0]?.startedAt ?? "");
    expect(wait).toBeGreaterThanOrEqual(5_000);
    expect(wait).toBeLessThan(6_500);
    expect(settledAt).toBeNull();
  });
});

describe("Retry-After", () => {
  test.concurrent.each([429, 503])("on a %i lengthens the wait", async (status) => {
    const { endpoint, event } = await sendTo(failing(1, answer(status, { headers: { "retry-after": "2" } })));
    await e2e.api.untilDelivery(event.id, "delivered");
    expect(gapsBetween(endpoint.requests)[0]).toBeGreaterThanOrEqual(1_995);
  });

  test.concurrent("as a date lengthens the wait", async () => {
    const until = Math.ceil(Date.now() / 1000 + 2) * 1000;
    const headers = { "retry-after": new Date(until).toUTCString() };
    const { endpoint, event } = await sendTo(failing(1, answer(503, { headers })));
    await e2e.api.untilDelivery(event.id, "delivered");
    expect(endpoint.requests[1]?.at).toBeGreaterThanOrEqual(until - 5);
  });

  test.concurrent("cannot shorten the wait", async () => {
    const headers = { "retry-after": "0" };
    const { endpoint, event } = await sendTo(failing(1, answer(503, { headers })), { retrySchedule: ["500ms"] });
    await e2e.api.untilDelivery(event.id, "delivered");
    expect(gapsBetween(endpoint.requests)[0]).toBeGreaterThanOrEqual(495);
  });

  test.concurrent("is worth an hour at most", async () => {
    const { event } = await sendTo(answer(503, { headers: { "retry-after": "86400" } }));
    const { nextAttemptAt } = await e2e.api.untilDelivery(event.id, "retrying");
    const wait = Date.parse(nextAttemptAt ?? "") - Date.now();
    expect(wait).toBeGreaterThan(59 * 60_000);
    expect(wait).toBeLessThan(67 * 60_000);
  });

  test.concurrent.each([500, 404])("on a %i means nothing", async (status) => {
    const { event } = await sendTo(failing(1, answer(status, { headers: { "retry-after": "3600" } })));
    await e2e.api.untilDelivery(event.id, "delivered");
  });

  test.concurrent.each(["soon", "-5", "1e9999", ""])(
    "that makes no sense (%j) leaves the schedule as it is",
    async (value) => {
      const { event } = await sendTo(failing(1, answer(503, { headers: { "retry-after": value } })));
      await e2e.api.untilDelivery(event.id, "delivered");
    },
  );
});

test("a 410 is a dead letter at once and disables the subscription", async () => {
  const { endpoint, subscription, event } = await sendTo(answer(410));
  expect(await e2e.api.untilDelivery(event.id, "dead")).toMatchObject({ deadReason: "gone", attemptCount: 1 });
  const after = await waitFor("the subscription is disabled", async () => {
    const now = await e2e.api.subscription(subscription.id);
    return now.status === "disabled" && now;
  });
  expect(after.disabledReason).toBe("gone");
  expect(endpoint.requests).toHaveLength(1);
});
