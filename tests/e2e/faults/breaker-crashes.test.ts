import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { answer, gate, unavailableForLong } from "@postrider/testkit/receiver/behaviours.ts";
import { QUICK_TAKEOVER, THRESHOLD } from "@postrider/testkit/stack/settings.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const e2e = useStack({ workers: 2, env: QUICK_TAKEOVER });

const onceADay = { retrySchedule: ["24h"] };

async function emptyRedis(): Promise<void> {
  const redis = new Redis(e2e.stack.redisUrl);
  await redis.flushdb();
  await redis.quit();
}

async function killAllWorkers(): Promise<void> {
  const running = e2e.stack.runningWorkers;
  await Promise.all(running.map((worker) => worker.kill("SIGKILL")));
}

async function startTwoWorkers(): Promise<void> {
  await Promise.all([e2e.stack.startWorker(), e2e.stack.startWorker()]);
}

test("emptying Redis while a breaker is open closes it, and the whole backlog is delivered", async () => {
  const subscriber = await newSubscriber(e2e, unavailableForLong, onceADay);
  await subscriber.trip();
  const backlog = await subscriber.backlog(300);
  subscriber.endpoint.behave(answer(200));
  await emptyRedis();
  await subscriber.untilEvery(backlog, "delivered");
  expect((await subscriber.look()).breaker).toEqual({ state: "closed", failures: 0, retryAt: null });
});

test("emptying Redis while a subscriber is down opens its breaker again, and nothing is lost", async () => {
  const subscriber = await newSubscriber(e2e, unavailableForLong, { retrySchedule: Array<string>(9).fill("500ms") });
  await subscriber.trip();
  const backlog = await subscriber.backlog(300);
  subscriber.endpoint.behave(answer(500));
  await emptyRedis();
  await subscriber.endpoint.untilRequests(2 * THRESHOLD);
  await subscriber.untilOpen();
  subscriber.endpoint.behave(answer(200));
  await subscriber.untilEvery(backlog, "delivered");
});

test("emptying Redis during a release loses nothing of the backlog", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), onceADay);
  await subscriber.trip();
  const backlog = await subscriber.backlog(400);
  subscriber.endpoint.behave(answer(200, { afterMs: 50 }));
  const back = subscriber.endpoint.requests.length;
  await subscriber.endpoint.untilRequests(back + 20);
  await emptyRedis();
  await subscriber.untilEvery(backlog, "delivered");
});

test("killing all workers during a probe leads to another probe, and the backlog is delivered", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), onceADay);
  await subscriber.trip();
  const backlog = await subscriber.backlog(50);
  const unanswered = gate();
  subscriber.endpoint.behave(unanswered);
  await waitFor("the probe is on the wire", () => subscriber.endpoint.inFlight === 1);
  await killAllWorkers();
  subscriber.endpoint.behave(answer(200));
  unanswered.open();
  await startTwoWorkers();
  await subscriber.untilEvery(backlog, "delivered");
  expect((await subscriber.look()).held).toBe(0);
});

test("killing all workers during a release loses nothing and repeats only the requests in flight", async () => {
  const subscriber = await newSubscriber(e2e, answer(500), onceADay);
  await subscriber.trip();
  const backlog = await subscriber.backlog(400);
  subscriber.endpoint.behave(answer(200, { afterMs: 50 }));
  const back = subscriber.endpoint.requests.length;
  await subscriber.endpoint.untilRequests(back + 20);
  await killAllWorkers();
  const before = subscriber.endpoint.requests.length;
  expect(before - back).toBeLessThan(400);
  await startTwoWorkers();
  await subscriber.untilEvery(backlog, "delivered");
  // maxInFlight at each of two workers, and as many that waited to be recorded.
  expect(subscriber.endpoint.requests.length - back).toBeLessThanOrEqual(400 + 2 * 2 * 32);
});

test("the backlogs of a paused subscription and of an open breaker survive killing all workers", async () => {
  const [shut, paused] = [await newSubscriber(e2e, unavailableForLong, onceADay), await newSubscriber(e2e)];
  await shut.trip();
  await e2e.api.pause(paused.id);
  const [ofShut, ofPaused] = [await shut.backlog(10), await paused.backlog(10)];
  await killAllWorkers();
  await emptyRedis();
  shut.endpoint.behave(answer(200));
  await startTwoWorkers();
  await shut.untilEvery(ofShut, "delivered");
  await paused.untilEvery(ofPaused, "held");
  expect(paused.endpoint.requests).toHaveLength(0);
  await e2e.api.resume(paused.id);
  await paused.untilEvery(ofPaused, "delivered");
});
