import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { freePort } from "@postrider/testkit/processes/ports.ts";
import { answer, failing, garbage, hangUp, reset } from "@postrider/testkit/receiver/behaviours.ts";
import { type Behaviour, gapsBetween } from "@postrider/testkit/receiver/request.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { fromPublicId } from "@postrider/shared/core/ids/id.ts";
import { retryJobId } from "@postrider/shared/queue/jobs.ts";
import { createQueues } from "@postrider/shared/queue/queues.ts";

const e2e = useSharedStack();

async function sendTo(behaviour: Behaviour, policy: { retrySchedule?: string[] | string } = {}) {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint(behaviour);
  const subscription = await e2e.api.subscribe({ tenant, url: endpoint.url, ...policy });
  const event = await e2e.api.send({ type: "order.created", data: { order: 7 }, tenant });
  return { tenant, endpoint, subscription, event };
}

test.concurrent("a subscriber that fails twice receives the event at the third attempt, with the same id and bytes each time", async () => {
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

test.concurrent("a retry whose job runs early is not attempted before it is due", async () => {
  const { endpoint, event } = await sendTo(failing(1, answer(503)), { retrySchedule: ["10s"] });
  const { id } = await e2e.api.untilDelivery(event.id, "retrying");
  const redis = new Redis(e2e.redisUrl, { maxRetriesPerRequest: null });
  const { retry } = createQueues(redis);
  const itsJob = () => retry.getJob(retryJobId(fromPublicId("dlv", id)!, 0));
  await waitFor("its job is delayed", async () => (await itsJob())?.isDelayed());
  await (await itsJob())!.promote();
  await waitFor("the job has run", async () => (await itsJob())?.failedReason === "not due yet");
  await e2e.api.untilDelivery(event.id, "delivered");
  expect(gapsBetween(endpoint.requests)[0]).toBeGreaterThanOrEqual(10_000 - 5);
  redis.disconnect();
});

test.concurrent("each retry waits at least as long as the schedule says", async () => {
  const { endpoint, event } = await sendTo(answer(500));
  await e2e.api.untilDelivery(event.id, "dead");
  const gaps = gapsBetween(endpoint.requests);
  expect(gaps).toHaveLength(3);
  for (const [index, wait] of [100, 200, 400].entries()) {
    expect(gaps[index]).toBeGreaterThanOrEqual(wait - 5);
  }
});

test.concurrent("a subscriber that always fails leaves an exhausted dead letter with numbered attempts", async () => {
  const { endpoint, event } = await sendTo(answer(500, { body: "no" }));
  const delivery = await e2e.api.untilDelivery(event.id, "dead");
  expect(delivery).toMatchObject({ deadReason: "exhausted", attemptCount: 4, nextAttemptAt: null });
  expect(delivery.lastError).toEqual(expect.any(String));
  expect(delivery.settledAt).toEqual(expect.any(String));
  expect(delivery.attempts).toHaveLength(4);
  expect(new Set(delivery.attempts.map((one) => one.number))).toEqual(new Set([1, 2, 3, 4]));
  expect(endpoint.requests).toHaveLength(4);
});

test.concurrent.each([302, 400, 401, 404, 408, 418, 425, 429, 500, 502, 503])(
  "a response of %i is retried",
  async (status) => {
    const { event } = await sendTo(failing(1, answer(status)));
    const { attempts } = await e2e.api.untilDelivery(event.id, "delivered");
    expect(attempts.find((one) => one.number === 1)?.responseStatus).toBe(status);
    expect(attempts.find((one) => one.number === 2)?.responseStatus).toBe(200);
  },
);

const broken: [string, Behaviour][] = [
  ["a reset connection", reset],
  ["a connection closed before any header", hangUp],
  ["a response that is not HTTP", garbage],
];
test.concurrent.each(broken)("%s is retried and recorded", async (_name, behaviour) => {
  const { event } = await sendTo(failing(1, behaviour));
  const { attempts } = await e2e.api.untilDelivery(event.id, "delivered");
  expect(attempts.find((one) => one.number === 1)).toMatchObject({
    responseStatus: null,
    error: expect.stringMatching(/./) as string,
  });
  expect(attempts.find((one) => one.number === 2)).toMatchObject({ responseStatus: 200, error: null });
});

test.concurrent.each([200, 201, 202, 204, 299])(
  "a response of %i is delivered at the first attempt",
  async (status) => {
    const { event } = await sendTo(answer(status));
    expect(await e2e.api.untilDelivery(event.id, "delivered")).toMatchObject({ attemptCount: 1 });
  },
);

test.concurrent("a delivery to a closed port ends as a dead letter with the reason on each attempt", async () => {
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

test.concurrent("a delivery to a name that does not resolve ends as a dead letter", async () => {
  const tenant = newTenant();
  await e2e.api.subscribe({ tenant, url: "http://nobody.invalid/hook", retrySchedule: ["50ms"] });
  const event = await e2e.api.send({ type: "order.created", data: 1, tenant });
  const delivery = await e2e.api.untilDelivery(event.id, "dead");
  expect(delivery).toMatchObject({ deadReason: "exhausted", attemptCount: 2 });
  expect(delivery.attempts[0]).toMatchObject({ responseStatus: null, error: expect.stringMatching(/./) as string });
});

test.concurrent("a subscription without a retry schedule shows the one of the process", async () => {
  const { subscription } = await sendTo(answer(200));
  expect(subscription.retrySchedule).toEqual(["100ms", "200ms", "400ms"]);
});

test.concurrent("a subscription's retry schedule overrides the one of the process", async () => {
  const { endpoint, subscription, event } = await sendTo(answer(500), { retrySchedule: ["300ms"] });
  expect(subscription.retrySchedule).toEqual(["300ms"]);
  expect(await e2e.api.untilDelivery(event.id, "dead")).toMatchObject({ attemptCount: 2 });
  expect(gapsBetween(endpoint.requests)[0]).toBeGreaterThanOrEqual(295);
});

test.concurrent("the standard schedule waits at least 5 s before the first retry", async () => {
  const { event } = await sendTo(answer(500), { retrySchedule: "standard" });
  const { attempts, nextAttemptAt, settledAt } = await e2e.api.untilDelivery(event.id, "retrying");
  const wait = Date.parse(nextAttemptAt ?? "") - Date.parse(attempts[0]?.startedAt ?? "");
  expect(wait).toBeGreaterThanOrEqual(5_000);
  // The next step of the schedule is five minutes.
  expect(wait).toBeLessThan(60_000);
  expect(settledAt).toBeNull();
});

test.concurrent.each([429, 503])("Retry-After on a %i lengthens the wait", async (status) => {
  const { endpoint, event } = await sendTo(failing(1, answer(status, { headers: { "retry-after": "2" } })));
  await e2e.api.untilDelivery(event.id, "delivered");
  expect(gapsBetween(endpoint.requests)[0]).toBeGreaterThanOrEqual(1_995);
});

test.concurrent("Retry-After as a date lengthens the wait", async () => {
  const until = Math.ceil(Date.now() / 1000 + 2) * 1000;
  const headers = { "retry-after": new Date(until).toUTCString() };
  const { endpoint, event } = await sendTo(failing(1, answer(503, { headers })));
  await e2e.api.untilDelivery(event.id, "delivered");
  expect(endpoint.requests[1]?.at).toBeGreaterThanOrEqual(until - 5);
});

test.concurrent("Retry-After cannot shorten the wait", async () => {
  const headers = { "retry-after": "0" };
  const { endpoint, event } = await sendTo(failing(1, answer(503, { headers })), { retrySchedule: ["500ms"] });
  await e2e.api.untilDelivery(event.id, "delivered");
  expect(gapsBetween(endpoint.requests)[0]).toBeGreaterThanOrEqual(495);
});

test.concurrent("Retry-After lengthens the wait by at most an hour", async () => {
  const { event } = await sendTo(answer(503, { headers: { "retry-after": "86400" } }));
  const { nextAttemptAt } = await e2e.api.untilDelivery(event.id, "retrying");
  const wait = Date.parse(nextAttemptAt ?? "") - Date.now();
  expect(wait).toBeGreaterThan(59 * 60_000);
  expect(wait).toBeLessThan(67 * 60_000);
});

test.concurrent.each([500, 404])("Retry-After on a %i is ignored", async (status) => {
  const { event } = await sendTo(failing(1, answer(status, { headers: { "retry-after": "3600" } })));
  await e2e.api.untilDelivery(event.id, "delivered");
});

test.concurrent.each(["soon", "-5", "1e9999", ""])("an invalid Retry-After (%j) is ignored", async (value) => {
  const { event } = await sendTo(failing(1, answer(503, { headers: { "retry-after": value } })));
  await e2e.api.untilDelivery(event.id, "delivered");
});

test.concurrent("a response of 410 dead-letters the delivery and disables the subscription", async () => {
  const { endpoint, subscription, event } = await sendTo(answer(410));
  expect(await e2e.api.untilDelivery(event.id, "dead")).toMatchObject({ deadReason: "gone", attemptCount: 1 });
  const after = await waitFor("the subscription is disabled", async () => {
    const now = await e2e.api.subscription(subscription.id);
    return now.status === "disabled" && now;
  });
  expect(after.disabledReason).toBe("gone");
  expect(endpoint.requests).toHaveLength(1);
});
