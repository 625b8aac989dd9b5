import { describe, expect, test } from "vitest";
import { answer, type Behaviour, failing, gate } from "../support/receiver.ts";
import { awayForLong, eventOf, newSubscriber, THRESHOLD } from "../support/subscriber.ts";
import { patient, useStack } from "../support/stack.ts";

/** While these tests last nothing is probed. */
const e2e = useStack({ env: { ...patient, BREAKER_COOLDOWN: "10m" } });

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

describe.concurrent("a success that was sent after the failures that opened a breaker, and takes longer than they took,", () => {
  test("closes it", async () => {
    const { subscriber, others } = await refuseFirst(answer(500));
    await subscriber.untilEvery(others, "delivered");
    await subscriber.untilClosed();
  });

  test("does not close it where the subscriber asked to be left alone for longer than the cooldown", async () => {
    const { subscriber, others, onTheWire } = await refuseFirst(awayForLong);
    await subscriber.untilEvery(onTheWire, "delivered");
    const sent = new Set(subscriber.endpoint.requests.map(eventOf));
    await subscriber.untilEvery(
      others.filter((event) => !sent.has(event)),
      "held",
    );
    expect((await subscriber.look()).breaker.state).toBe("open");
  });
});
