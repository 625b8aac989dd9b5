import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freePort } from "@postrider/testkit/processes/ports.ts";
import { ShiftedClock } from "@postrider/testkit/clock/shifted-clock.ts";
import { answer, failing, gate } from "@postrider/testkit/receiver/behaviours.ts";
import { isSignedWith } from "@postrider/testkit/receiver/request.ts";
import { QUICK_TAKEOVER } from "@postrider/testkit/stack/settings.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const e2e = useStack({ workers: 0, env: QUICK_TAKEOVER });
let clock: ShiftedClock;
beforeEach(() => {
  clock = new ShiftedClock();
});
afterEach(async () => {
  for (const worker of e2e.stack.runningWorkers) await worker.kill();
  clock.close();
});

/** A few minutes at most from now, which leaves room for a busy machine. */
function expectPresent(...times: (string | null)[]): void {
  for (const time of times) expect(Math.abs(Date.parse(time ?? "") - Date.now())).toBeLessThan(5 * MINUTE_MS);
}

const checks = async () => (await e2e.api.call<{ status: string; checks: object }>("GET", "/readyz")).body;

/** Waits until an event is delivered, and checks all of its times. */
async function expectDelivered(event: string) {
  const { createdAt, settledAt, attempts } = await e2e.api.untilDelivery(event, "delivered");
  expect(attempts.length).toBeGreaterThan(0);
  expectPresent(createdAt, settledAt, (await e2e.api.event(event)).createdAt);
  expectPresent(...attempts.map(({ startedAt }) => startedAt));
  expect(Date.parse(settledAt ?? "")).toBeGreaterThanOrEqual(Date.parse(createdAt));
  return attempts;
}

test("events accepted while ingest's clock is two days ahead, and after that, have the right time and are delivered", async () => {
  const subscriber = await newSubscriber(e2e);
  await e2e.stack.restartIngest("SIGTERM", clock.env);
  await e2e.stack.startWorker();
  const sent = await subscriber.send(2);
  await clock.shift(2 * DAY_MS);
  sent.push(...(await subscriber.send(2)));
  await waitFor("ingest reports its clock", async () => (await checks()).status === "degraded");
  expect(await checks()).toMatchObject({ checks: { postgres: "ok", redis: "ok", clock: "wrong" } });
  await waitFor("ingest logs it", () => e2e.stack.ingest.output().includes("clock differs from Postgres's"));
  sent.push(...(await subscriber.send(2)));
  await clock.shift(0);
  sent.push(...(await subscriber.send(2)));
  for (const event of sent) await expectDelivered(event);
  for (const { body } of subscriber.endpoint.requests) {
    expectPresent((JSON.parse(body.toString()) as { timestamp: string }).timestamp);
  }
  const { data } = await e2e.api.events({ tenant: subscriber.tenant });
  expect(data.map(({ id }) => id)).toEqual(sent.toReversed());
  await waitFor("ingest is well again", async () => (await checks()).status === "ok");
});

test("requests on the wire while a worker's clock jumps thirty days ahead and back are recorded", async () => {
  const worker = await e2e.stack.startWorker(clock.env);
  const [before, during] = [gate(), gate()];
  const [first, second] = [await newSubscriber(e2e, before), await newSubscriber(e2e, during)];
  const [sentBefore] = await first.send(1);
  await first.endpoint.untilRequests(1);
  await clock.shift(30 * DAY_MS);
  before.open();
  const [sentDuring] = await second.send(1);
  await second.endpoint.untilRequests(1);
  await expectDelivered(sentBefore!);
  await clock.shift(0);
  during.open();
  const [sentAfter] = await second.send(1);
  for (const event of [sentDuring!, sentAfter!]) expect(await expectDelivered(event)).toHaveLength(1);
  expect([...first.endpoint.requests, ...second.endpoint.requests]).toHaveLength(3);
  expect(worker.isRunning).toBe(true);
});

test("events of an ingest that was three days ahead and died while Redis was away are delivered", async () => {
  const subscriber = await newSubscriber(e2e);
  await e2e.stack.restartIngest("SIGTERM", { ...clock.env, REDIS_URL: `redis://127.0.0.1:${await freePort()}` });
  await clock.shift(3 * DAY_MS);
  const sent = await subscriber.send(3);
  await e2e.stack.ingest.kill("SIGKILL");
  await e2e.stack.startIngest();
  await e2e.stack.startWorker();
  for (const event of sent) await expectDelivered(event);
});

test("a retry of a worker whose clock was an hour ahead comes on time from another worker", async () => {
  const worker = await e2e.stack.startWorker(clock.env);
  await clock.shift(HOUR_MS);
  const subscriber = await newSubscriber(e2e, failing(1, answer(500)), { retrySchedule: ["5s"] });
  const [event] = await subscriber.send(1);
  const redis = new Redis(e2e.stack.redisUrl);
  await waitFor("the retry is scheduled", () => redis.zcard("{postrider}:retry:delayed"));
  redis.disconnect();
  await worker.kill("SIGKILL");
  await e2e.stack.startWorker();
  await expectDelivered(event!);
});

test.each([
  ["an hour back", -HOUR_MS],
  ["ten minutes ahead", 10 * MINUTE_MS],
])(
  "a retry that waits while its worker's clock jumps %s comes on time, and its signature is valid",
  async (_what, ms) => {
    await e2e.stack.startWorker(clock.env);
    const endpoint = e2e.receiver.endpoint(failing(1, answer(500)));
    const { secret, tenant } = await e2e.api.subscribe({
      url: endpoint.url,
      tenant: `jump${ms}`,
      retrySchedule: ["2s", "2s"],
    });
    const event = await e2e.api.send({ type: "order.created", data: 1, tenant });
    await e2e.api.untilDelivery(event.id, "retrying");
    await clock.shift(ms);
    expect(await expectDelivered(event.id)).toHaveLength(2);
    for (const request of endpoint.requests) expect(isSignedWith(request, secret)).toBe(true);
  },
);
