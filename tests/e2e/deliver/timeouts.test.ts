import { expect, test } from "vitest";
import { silence } from "@postrider/testkit/receiver/behaviours.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useStack } from "@postrider/testkit/vitest.ts";

const e2e = useStack({ env: { DELIVERY_TIMEOUT: "1s" } });

test.concurrent.each([
  ["without a timeout", null, 1_000],
  ["with a longer timeout", 60_000, 60_000],
])("a subscription %s uses the one of the process", async (_name, timeoutMs, shown) => {
  const subscriber = await newSubscriber(e2e, silence, { timeoutMs, retrySchedule: ["50ms"] });
  const [event] = await subscriber.send(1);
  const { attempts } = await e2e.api.untilDelivery(event!, "dead");
  expect(attempts).toHaveLength(2);
  for (const { durationMs, error } of attempts) {
    expect(durationMs).toBeGreaterThanOrEqual(995);
    expect(error).toContain("within 1000 ms");
  }
  expect(await subscriber.look()).toMatchObject({ timeoutMs: shown });
});
