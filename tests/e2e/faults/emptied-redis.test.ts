import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { answer, failing, gate } from "@postrider/testkit/receiver/behaviours.ts";
import { useStack } from "@postrider/testkit/vitest.ts";

const e2e = useStack({ workers: 0 });

async function emptyRedis(): Promise<void> {
  const redis = new Redis(e2e.stack.redisUrl);
  await redis.flushdb();
  await redis.quit();
}

async function subscribed(behaviour = answer(200), retrySchedule = ["1s"]) {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint(behaviour);
  const { id } = await e2e.api.subscribe({ tenant, url: endpoint.url, retrySchedule });
  const send = async (count: number) => {
    const events = Array.from({ length: count }, (_, order) => ({ type: "order.created", data: { order }, tenant }));
    return (await e2e.api.sendBatch(events)).map((event) => event.id);
  };
  return { endpoint, id, send };
}

test("events accepted while no worker runs are delivered when one starts, although Redis was emptied", async () => {
  const { endpoint, send } = await subscribed();
  const sent = await send(50);
  await emptyRedis();
  expect(endpoint.requests).toHaveLength(0);
  await e2e.stack.startWorker();
  await endpoint.untilEvents(sent);
  expect(endpoint.requests).toHaveLength(50);
});

test("a delivery that waits for its retry is retried although Redis was emptied", async () => {
  const { endpoint, send } = await subscribed(failing(3, answer(500)));
  const sent = await send(3);
  for (const event of sent) await e2e.api.untilDelivery(event, "retrying");
  await emptyRedis();
  for (const event of sent) {
    expect(await e2e.api.untilDelivery(event, "delivered")).toMatchObject({ attemptCount: 2 });
  }
  expect(endpoint.requests).toHaveLength(6);
});

test("a held delivery stays held although Redis was emptied, and is delivered on resume", async () => {
  const { endpoint, id, send } = await subscribed();
  await e2e.api.pause(id);
  const before = await send(3);
  for (const event of before) await e2e.api.untilDelivery(event, "held");
  await emptyRedis();
  const after = await send(1);
  for (const event of after) expect(await e2e.api.untilDelivery(event, "held")).toMatchObject({ heldReason: "paused" });
  expect(endpoint.requests).toHaveLength(0);
  await e2e.api.resume(id);
  await endpoint.untilEvents([...before, ...after]);
});

test("a request in flight when Redis is emptied is recorded", async () => {
  const slow = gate();
  const { endpoint, send } = await subscribed(slow);
  const sent = await send(5);
  // A subscription that has not answered yet has one request at a time.
  await endpoint.untilRequests(1);
  await emptyRedis();
  slow.open();
  for (const event of sent) {
    const { attempts } = await e2e.api.untilDelivery(event, "delivered");
    expect(attempts.length).toBeGreaterThanOrEqual(1);
  }
});
