import { afterEach, beforeEach, expect, test } from "vitest";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import type { Endpoint } from "@postrider/testkit/receiver/endpoint.ts";
import { type Receiver, startReceiver } from "@postrider/testkit/receiver/receiver.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { familyRange } from "@postrider/shared/core/ids/id-range.ts";
import type { Batch } from "@postrider/shared/queue/jobs.ts";
import { deliverBatch } from "../../apps/worker/src/deliver/deliver-batch.ts";
import { BodyBudget } from "../../apps/worker/src/load/body-budget.ts";
import { releaseLongestHeld } from "../../apps/worker/src/release/release-longest-held.ts";

const SLOTS = 4;
const LARGE = JSON.stringify("x".repeat(200_000));
const BUDGET = 3_000_000;

let world: World;
let receiver: Receiver;
let bodies: BodyBudget;
let stopping: AbortController;
let running: Promise<unknown>[];
beforeEach(async () => {
  receiver = await startReceiver();
  world = await createTestWorld({ MAX_IN_FLIGHT: `${SLOTS}` });
  bodies = new BodyBudget(BUDGET);
  stopping = new AbortController();
  running = [];
});
afterEach(async () => {
  stopping.abort();
  await receiver.close();
  await Promise.all(running);
  await world.close();
});

/** Proven subscriptions of a tenant. */
async function subscribe(tenant: string, endpoint: Endpoint, count: number): Promise<void> {
  for (let made = 0; made < count; made += 1) await world.subscribe({ tenant, url: endpoint.url });
  await world.context.pool.query("update subscriptions set last_success_at = now()");
}

/** Accepts large events. @returns their batches */
async function accept(tenant: string, count: number): Promise<Batch[]> {
  await world.accept(...Array.from({ length: count }, () => ({ tenant, data: LARGE })));
  return world.batches.splice(0);
}

function deliver(batches: readonly Batch[]): void {
  const lease = { signal: stopping.signal, isHeld: () => !stopping.signal.aborted };
  for (const batch of batches)
    running.push(deliverBatch({ ...world.context, bodies }, batch, lease, { onQueued: () => undefined }));
}

/** Takes every slot. @returns releases one of them */
async function takeSlots(): Promise<() => void> {
  const taken = await Promise.all(
    Array.from({ length: SLOTS }, (_, index) =>
      world.context.slots.acquire({
        subscription: `taken-${index}`,
        tenant: "taken",
        order: newId(),
        isProbe: false,
        isManual: false,
        isProven: true,
        canBeHeld: false,
        maxInFlight: 1,
        rate: null,
        rateLimitName: "rate_limit",
        bytes: 100,
        signal: stopping.signal,
      }),
    ),
  );
  return () => {
    for (const slot of taken.splice(0, 1)) if (slot.kind === "granted") slot.release(200);
  };
}

test("large bodies are delivered though those of another tenant wait for slots, beyond the budget", async () => {
  const releaseSlot = await takeSlots();
  const other = receiver.endpoint();
  await subscribe("other", other, 3);
  deliver(await accept("other", 10));
  await expect.poll(() => bodies.used).toBeGreaterThan(BUDGET / 2);

  const well = receiver.endpoint();
  await subscribe("well", well, 1);
  deliver(await accept("well", 20));
  await expect.poll(() => bodies.used).toBeGreaterThan(BUDGET);
  expect(bodies.used).toBeLessThan(2 * BUDGET);
  releaseSlot();
  await well.untilRequests(20);
  await other.untilRequests(30);
});

test("released deliveries wait for their slots without their bodies, and are sent with them", async () => {
  const answering = Promise.withResolvers<void>();
  const slow = receiver.endpoint((request, response) => {
    void answering.promise.then(() => answer(200)(request, response));
  });
  await subscribe("slow", slow, 1);
  await accept("slow", 20);
  await world.context.pool.query("update deliveries set state = 'held', held_reason = 'trial', held_at = now(), batch_id = null"); // prettier-ignore
  const [held] = await world.load();
  const released = await releaseLongestHeld(world.context, held!.subscriptionId, 20, 1);
  deliver([{ id: (await world.rows())[0]!.batch_id!, size: 20, ...familyRange(released) }]);
  await expect.poll(() => world.context.slots.waiting).toBe(18);
  expect(bodies.used).toBe(0);
  answering.resolve();
  const requests = await slow.untilRequests(20);
  for (const { body } of requests) expect(JSON.parse(body.toString())).toMatchObject({ data: JSON.parse(LARGE) });
});
