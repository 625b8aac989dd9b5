import { expect, test } from "vitest";
import { answer, failing, gate } from "@postrider/testkit/receiver/behaviours.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useSharedStack } from "@postrider/testkit/vitest.ts";

const e2e = useSharedStack();
const policy = { timeoutMs: 60_000, retrySchedule: ["24h"] };

test.concurrent("a 410 of the old URL after a change of the URL leaves the subscription active", async () => {
  const gone = gate(answer(410));
  const subscriber = await newSubscriber(e2e, gone, policy);
  const [old] = await subscriber.send(1);
  await subscriber.endpoint.untilRequests(1);
  const moved = e2e.receiver.endpoint();
  await e2e.api.changeSubscription(subscriber.id, { url: moved.url });
  gone.open();
  expect(await e2e.api.untilDelivery(old!, "dead")).toMatchObject({ deadReason: "gone" });

  const next = await subscriber.sendInTurn(2, "delivered");
  expect([...moved.eventIds()]).toEqual(next);
  expect(await subscriber.look()).toMatchObject({ status: "active", lastError: null, lastFailureAt: null });

  moved.behave(answer(410));
  await subscriber.send(1);
  await subscriber.until("the 410 of its new URL disables it", ({ status }) => status === "disabled");
});

test.concurrent("a 410 to a request from before the subscription was enabled leaves it active", async () => {
  const [first, second] = [gate(answer(410)), gate(answer(410))];
  const subscriber = await newSubscriber(e2e, answer(200), policy);
  // It needs some answers before it may have two requests under way.
  await subscriber.sendInTurn(3, "delivered");
  subscriber.endpoint.behave(failing(1, first, second));
  const events = await subscriber.send(2);
  await subscriber.endpoint.untilRequests(5);
  first.open();
  await subscriber.until("it is disabled", ({ status }) => status === "disabled");
  await e2e.api.enable(subscriber.id);
  subscriber.endpoint.behave(answer(200));
  second.open();
  await subscriber.untilEvery(events, "dead");
  await subscriber.sendInTurn(2, "delivered");
  expect(await subscriber.look()).toMatchObject({ status: "active" });
});
