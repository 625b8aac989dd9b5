import { Worker } from "bullmq";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Retry } from "@postrider/shared/queue/jobs.ts";
import { KEY_PREFIX } from "@postrider/shared/queue/keys.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";

let world: World;
beforeAll(async () => {
  world = await createTestWorld();
});
beforeEach(async () => {
  await world.context.redis.flushdb();
});
afterAll(() => world.close());

const FLOOD = "flood";

const retriesOf = (tenant: string, count: number, over: Partial<Retry> = {}): Retry[] =>
  Array.from({ length: count }, () => ({
    delivery: newId(),
    cycle: 0,
    tenant,
    eventType: "order.created",
    url: undefined,
    delayMs: 0,
    ...over,
  }));

/** The deliveries of the jobs in the order in which a worker takes them. */
async function takenFirst(count: number): Promise<string[]> {
  const { workerRedis } = world.context;
  const worker = new Worker("retry", null, { connection: workerRedis, prefix: KEY_PREFIX });
  try {
    const taken: string[] = [];
    while (taken.length < count) {
      const job = await worker.getNextJob(`token-${taken.length}`);
      if (job) taken.push((job.data as { delivery: string }).delivery);
    }
    return taken;
  } finally {
    await worker.close(true);
  }
}

test("a neighbour's retries and a manual retry are taken before the tail of a tenant's flood of retries", async () => {
  const { enqueue } = world.context;
  await enqueue.retry(retriesOf(FLOOD, 500));
  const few = retriesOf("neighbour", 3);
  const manual = retriesOf(FLOOD, 1, { isManual: true });
  await enqueue.retry([...few, ...manual]);
  // Ten of the flood go first in each second in which it was added.
  const taken = await takenFirst(100);
  for (const { delivery } of [...few, ...manual]) expect(taken).toContain(delivery);
});
