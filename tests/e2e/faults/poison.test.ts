import { expect, test } from "vitest";
import { everyPage } from "@postrider/testkit/client/client.ts";
import type { Delivery } from "@postrider/testkit/client/types.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { answer, gate } from "@postrider/testkit/receiver/behaviours.ts";
import type { Behaviour } from "@postrider/testkit/receiver/request.ts";
import { QUICK_TAKEOVER } from "@postrider/testkit/stack/settings.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

/** A worker must run for 3 s before it tries a suspect, and for 6 and 12 s after deaths. */
const TIMEOUT_MS = 1_500;
const e2e = useStack({ workers: 1, env: { ...QUICK_TAKEOVER, DELIVERY_TIMEOUT: `${TIMEOUT_MS}ms` } });
const LONG = { within: 120_000, every: 100 };

const deliveriesOf = async (tenant: string): Promise<Delivery[]> =>
  (await everyPage((query) => e2e.api.deliveries(query), { tenant, limit: 200 })).flat();

const untilAllDelivered = (tenant: string) =>
  waitFor(
    "all are delivered",
    async () => (await deliveriesOf(tenant)).every(({ status }) => status === "delivered"),
    LONG,
  );

async function killWorkers(): Promise<void> {
  await Promise.all(e2e.stack.runningWorkers.map((worker) => worker.kill("SIGKILL")));
}

async function replaceWorker(): Promise<void> {
  await killWorkers();
  await e2e.stack.startWorker();
}

test("a delivery that was under way in four workers that died of something else is delivered", async () => {
  const slow = gate();
  const endpoint = e2e.receiver.endpoint(slow);
  const tenant = newTenant();
  await e2e.api.subscribe({ tenant, url: endpoint.url });
  const { id } = await e2e.api.send({ type: "order.created", data: 1, tenant });
  for (let kills = 1; kills <= 4; kills += 1) {
    await endpoint.untilRequests(kills, LONG);
    await replaceWorker();
  }
  slow.open();
  await e2e.api.untilDelivery(id, "delivered", LONG);
});

test("a delivery that kills every worker is dead after six of them, and its neighbours are delivered", async () => {
  let deaths = 0;
  /** What happens in a worker as it delivers this event: seen from outside, it dies. */
  const poison: Behaviour = ({ body }, response) => {
    if (!body.includes('"poison":true')) response.writeHead(200).end();
    else {
      deaths += 1;
      void replaceWorker();
    }
  };
  const endpoint = e2e.receiver.endpoint(poison);
  const tenant = newTenant();
  await e2e.api.subscribe({ tenant, url: endpoint.url });
  const events = Array.from({ length: 20 }, (_, order) => ({
    type: "order.created",
    data: { order, poison: order === 10 },
    tenant,
  }));
  const ids = (await e2e.api.sendBatch(events)).map(({ id }) => id);
  const dead = await e2e.api.untilDelivery(ids[10]!, "dead", LONG);
  expect(dead).toMatchObject({ deadReason: "internal", attemptCount: 0 });
  expect(deaths).toBe(6);
  const statuses = (await deliveriesOf(tenant)).map(({ status }) => status);
  expect(statuses.filter((status) => status === "delivered")).toHaveLength(19);
  endpoint.behave(answer(200));
  await e2e.api.retry(dead.id);
  await untilAllDelivered(tenant);
});
