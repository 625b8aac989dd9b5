import { expect, test } from "vitest";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

const slots = 4;
const copies = 4;
const e2e = useStack({ env: { MAX_IN_FLIGHT: String(slots) } });

async function send(count: number, tenant: string): Promise<string[]> {
  const events = Array.from({ length: count }, (_, order) => ({ type: "order.created", data: { order }, tenant }));
  return (await e2e.api.sendBatch(events)).map((event) => event.id);
}

test("a worker that starts late takes over a share of the deliveries", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint(answer(200, { afterMs: 20 }));
  // Several, because no subscription has all of a worker's slots.
  for (let copy = 0; copy < copies; copy += 1) await e2e.api.subscribe({ tenant, url: endpoint.url });
  const first = await send(100, tenant);
  await endpoint.untilRequests(copies * first.length);
  expect(endpoint.peakInFlight).toBe(slots);

  await e2e.stack.startWorker();
  const second: string[] = [];
  await waitFor(
    "both workers have requests open at the same time",
    async () => {
      second.push(...(await send(50, tenant)));
      return endpoint.peakInFlight > slots;
    },
    { every: 200 },
  );
  await endpoint.untilRequests(copies * (first.length + second.length));
  expect(endpoint.peakInFlight).toBeLessThanOrEqual(2 * slots);
});

test("the other workers continue when one worker is stopped", async () => {
  const tenant = newTenant();
  const endpoint = e2e.receiver.endpoint();
  await e2e.api.subscribe({ tenant, url: endpoint.url });
  const [first] = e2e.stack.workers;
  expect(await first?.kill("SIGTERM")).toEqual({ code: 0, signal: null });
  await endpoint.untilEvents(await send(100, tenant));
});
