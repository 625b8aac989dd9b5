import { expect, test } from "vitest";
import { orders } from "@postrider/testkit/factories/events.ts";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useStack } from "@postrider/testkit/vitest.ts";

const e2e = useStack({ env: { MAX_IN_FLIGHT: "64" } });

test("a tenant's events are delivered while another tenant's flood occupies every slot", async () => {
  // 6,000 at 64 times 200 ms take 19 seconds.
  const flooding = await newSubscriber(e2e, answer(200, { afterMs: 200 }), { maxInFlight: 1_000 });
  const light = await newSubscriber(e2e);
  const flood = 6_000;
  for (let sent = 0; sent < flood; sent += 1_000) await e2e.api.sendBatch(orders(1_000, flooding.tenant));
  await flooding.endpoint.untilRequests(1);
  const lights: string[] = [];
  for (let n = 0; n < 10; n += 1) lights.push(...(await light.send(1)));
  await light.endpoint.untilEvents(lights);
  expect(flooding.endpoint.requests.length).toBeLessThan(flood / 2);
  flooding.endpoint.behave(answer(200));
  await flooding.endpoint.untilRequests(flood, { within: 120_000 });
});
