import { expect, test } from "vitest";
import { silence } from "../support/receiver.ts";
import { newTenant, useStack } from "../support/stack.ts";

const e2e = useStack();

const orders = (count: number, tenant: string) =>
  Array.from({ length: count }, (_, order) => ({ type: "order.created", data: order, tenant }));

test("a subscriber that hangs does not delay another that is in the same batches", async () => {
  const tenant = newTenant();
  const [slow, fast] = [e2e.receiver.endpoint(silence), e2e.receiver.endpoint()];
  await e2e.api.subscribe({ tenant, url: slow.url });
  await e2e.api.subscribe({ tenant, url: fast.url });
  const started = Date.now();
  const accepted = await e2e.api.sendBatch(orders(200, tenant));
  await fast.untilEvents(accepted.map((event) => event.id));
  const last = Math.max(...fast.requests.map((request) => request.at));
  // One after the other, 200 timeouts of a second at 32 in flight would take six seconds.
  expect(last - started).toBeLessThan(3_000);
});
