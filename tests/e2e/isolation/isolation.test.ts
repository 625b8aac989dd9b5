import { expect, test } from "vitest";
import { answer, gate } from "@postrider/testkit/receiver/behaviours.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useStack } from "@postrider/testkit/vitest.ts";

const e2e = useStack({ env: { MAX_IN_FLIGHT: "64" } });

test("a subscriber that does not respond delays no other one in the same batches", async () => {
  const fast = await newSubscriber(e2e);
  const closed = gate();
  const hanging = e2e.receiver.endpoint(closed);
  await e2e.api.subscribe({ tenant: fast.tenant, url: hanging.url, timeoutMs: 60_000 });
  const sent = await fast.send(200);
  // The fast one gets everything while no request to the other one has been answered.
  await fast.endpoint.untilEvents(sent);
  expect(hanging.inFlight).toBe(hanging.requests.length);
  sent.push(...(await fast.send(1)));
  await fast.endpoint.untilEvents(sent);
  expect(hanging.requests.length).toBeLessThan(sent.length);
  closed.open();
  await hanging.untilEvents(sent);
});

test("a subscriber that takes a second per request keeps a closed breaker and stays within its limit", async () => {
  const slow = await newSubscriber(e2e, answer(200, { afterMs: 1_000 }), { timeoutMs: 30_000 });
  const sent = await slow.send(30);
  await slow.untilEvery(sent, "delivered");
  expect(slow.endpoint.requests).toHaveLength(sent.length);
  expect(slow.endpoint.peakInFlight).toBeLessThanOrEqual(32);
  expect((await slow.look()).breaker.state).toBe("closed");
});
