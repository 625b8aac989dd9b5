import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { everyPage } from "@postrider/testkit/client/client.ts";
import type { Delivery } from "@postrider/testkit/client/types.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { answer, gate } from "@postrider/testkit/receiver/behaviours.ts";
import type { Endpoint } from "@postrider/testkit/receiver/endpoint.ts";
import { QUICK_TAKEOVER } from "@postrider/testkit/stack/settings.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const slots = 32;
const e2e = useStack({ workers: 2, env: { ...QUICK_TAKEOVER, MAX_IN_FLIGHT: String(slots) } });

async function subscribed(endpoint: Endpoint): Promise<string> {
  const tenant = newTenant();
  await e2e.api.subscribe({ tenant, url: endpoint.url });
  return tenant;
}

async function sendMany(count: number, tenant: string): Promise<string[]> {
  const accepted: string[] = [];
  while (accepted.length < count) {
    const size = Math.min(1000, count - accepted.length);
    const events = Array.from({ length: size }, (_, order) => ({ type: "order.created", data: { order }, tenant }));
    accepted.push(...(await e2e.api.sendBatch(events)).map((event) => event.id));
  }
  return accepted;
}

async function untilAllDelivered(count: number, tenant: string): Promise<Delivery[]> {
  return waitFor(
    `${count} deliveries are recorded as delivered`,
    async () => {
      const all = (await everyPage((query) => e2e.api.deliveries(query), { tenant, limit: 200 })).flat();
      const open = all.filter((delivery) => delivery.status !== "delivered");
      if (open.length > 0) throw new Error(`${open.length} open, ${JSON.stringify(open[0])}`);
      return all.length === count && all;
    },
    { every: 250 },
  );
}

test("an event accepted with 202 is delivered although its worker dies between sending and recording", async () => {
  const slow = gate();
  const endpoint = e2e.receiver.endpoint(slow);
  const tenant = await subscribed(endpoint);
  const { id } = await e2e.api.send({ type: "order.created", data: 1, tenant });
  await endpoint.untilRequests(1);
  await Promise.all(e2e.stack.runningWorkers.map((worker) => worker.kill("SIGKILL")));
  slow.open();
  await e2e.stack.startWorker();
  await e2e.stack.startWorker();
  await e2e.api.untilDelivery(id, "delivered");
  expect(endpoint.requests.length).toBeGreaterThanOrEqual(2);
  expect(endpoint.eventIds()).toEqual(new Set([id]));
});

test("killing a worker during 1,000 deliveries loses none and repeats only the requests in flight", async () => {
  const endpoint = e2e.receiver.endpoint(answer(200, { afterMs: 20 }));
  const tenant = await subscribed(endpoint);
  const sent = await sendMany(1000, tenant);
  await endpoint.untilRequests(200);
  const [victim] = e2e.stack.runningWorkers;
  await victim?.kill("SIGKILL");
  const before = endpoint.requests.length;
  expect(before).toBeLessThan(1_000);
  await e2e.stack.startWorker();
  await endpoint.untilEvents(sent);
  const deliveries = await untilAllDelivered(1000, tenant);
  // What the dead worker had recorded is not sent again: each delivery has the one attempt that was recorded.
  const again = deliveries.filter((delivery) => delivery.attemptCount !== 1);
  const example = again[0] && (await e2e.api.delivery(again[0].id)).attempts;
  expect(again.length, JSON.stringify(example)).toBe(0);
  // The limit on requests in flight, and as many outcomes that were waiting to be recorded.
  const duplicates = endpoint.requests.length - sent.length;
  expect(duplicates).toBeLessThanOrEqual(2 * slots);
});

test("a worker that gets SIGTERM under load finishes its requests and exits 0, and nothing is lost or sent twice", async () => {
  const endpoint = e2e.receiver.endpoint(answer(200, { afterMs: 20 }));
  const tenant = await subscribed(endpoint);
  const sent = await sendMany(600, tenant);
  await endpoint.untilRequests(100);
  const [leaver] = e2e.stack.runningWorkers;
  expect(endpoint.requests.length).toBeLessThan(600);
  expect(await leaver?.kill("SIGTERM")).toEqual({ code: 0, signal: null });
  await e2e.stack.startWorker();
  await endpoint.untilEvents(sent);
  await untilAllDelivered(600, tenant);
  expect(endpoint.requests).toHaveLength(600);
});

test.each(["SIGTERM", "SIGKILL"] as const)(
  "every event that ingest answered with 202 is delivered although ingest is ended by %s",
  async (signal) => {
    const endpoint = e2e.receiver.endpoint();
    const tenant = await subscribed(endpoint);
    const accepted: string[] = [];
    const total = 400;
    let next = 0;
    /** Sends until all are accepted; what got no answer is sent again with the same key, as a careful caller does. */
    async function caller() {
      while (next < total) {
        const order = next++;
        const event = { type: "order.created", data: { order }, tenant, idempotencyKey: randomUUID() };
        const { id } = await waitFor(`order ${order} is accepted`, () => e2e.api.send(event));
        accepted.push(id);
      }
    }
    const callers = Promise.all(Array.from({ length: 8 }, caller));
    await waitFor("a quarter is accepted", () => accepted.length >= total / 4);
    await e2e.stack.restartIngest(signal);
    await callers;
    expect(new Set(accepted).size).toBe(total);
    await endpoint.untilEvents(accepted);
    expect(endpoint.eventIds()).toEqual(new Set(accepted));
  },
);
