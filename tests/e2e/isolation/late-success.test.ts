import { expect, test } from "vitest";
import { answer, failing, gate, unavailableForLong } from "@postrider/testkit/receiver/behaviours.ts";
import { type Behaviour, eventOf } from "@postrider/testkit/receiver/request.ts";
import { THRESHOLD } from "@postrider/testkit/stack/settings.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useStack } from "@postrider/testkit/vitest.ts";

/** While these tests last nothing is probed. */
const e2e = useStack({ env: { BREAKER_COOLDOWN: "10m" } });

/** Refuses as many as open the breaker, and takes what was sent with them only after that. */
async function refuseFirst(refusal: Behaviour) {
  const late = gate();
  const policy = { retrySchedule: ["24h"], timeoutMs: 30_000 };
  const subscriber = await newSubscriber(e2e, failing(THRESHOLD, refusal, late), policy);
  const events = await subscriber.send(20);
  await subscriber.endpoint.untilRequests(THRESHOLD + 1);
  await subscriber.untilOpen();
  const [refused, onTheWire] = [subscriber.endpoint.requests.slice(0, THRESHOLD), subscriber.endpoint.requests.slice(THRESHOLD)]; // prettier-ignore
  late.open();
  const others = events.filter((event) => !refused.some((request) => eventOf(request) === event));
  return { subscriber, others, onTheWire: onTheWire.map(eventOf) };
}

test.concurrent("a success of a request that was on the wire when the breaker opened closes it", async () => {
  const { subscriber, others } = await refuseFirst(answer(500));
  await subscriber.untilEvery(others, "delivered");
  await subscriber.untilClosed();
});

test.concurrent("a success that closes the breaker does not end the rest that the subscriber asked for with Retry-After", async () => {
  const { subscriber, others, onTheWire } = await refuseFirst(unavailableForLong);
  await subscriber.untilEvery(onTheWire, "delivered");
  const sent = new Set(subscriber.endpoint.requests.map(eventOf));
  await subscriber.untilEvery(
    others.filter((event) => !sent.has(event)),
    "held",
  );
  expect(await subscriber.look()).toMatchObject({ breaker: { state: "closed" } });
  const [fresh] = await subscriber.send(1);
  expect(await e2e.api.untilDelivery(fresh!, "held")).toMatchObject({ heldReason: "pace" });
});
