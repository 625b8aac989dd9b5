import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { retryJobId } from "@postrider/shared/queue/jobs.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { runOnce } from "../../apps/worker/src/upkeep/watchdog.ts";

let world: World;
beforeAll(async () => {
  world = await createTestWorld({ WATCHDOG_INTERVAL: "100ms" });
});
afterAll(() => world.close());
beforeEach(() => world.empty());

/** Three retries that are past due and have live jobs. @returns the ids of the jobs */
async function queuedRetries(): Promise<string[]> {
  await world.subscribe();
  await world.accept({}, {}, {});
  await world.context.pool.query(
    `update deliveries set state = 'retrying', batch_id = null, next_attempt_at = now() - interval '1 minute'`,
  );
  expect(await runOnce(world.context)).toMatchObject({ retrying: { repaired: 3 } });
  return (await world.rows()).map(({ id }) => retryJobId(id, 0));
}
const retryStates = (ids: readonly string[]) =>
  Promise.all(ids.map((id) => world.context.queues.retry.getJobState(id)));

test.each(["wait", "delayed", "prioritized"])(
  "the watchdog adds jobs again whose %s set or list was lost",
  async (name) => {
    const { redis, queues } = world.context;
    const ids = await queuedRetries();
    const hour = Date.now() + 3_600_000;
    if (name !== "wait") {
      await redis.del(queues.retry.toKey("wait"));
      await redis.zadd(queues.retry.toKey(name), ...ids.flatMap((id) => [name === "delayed" ? hour * 4_096 : 1, id]));
    }
    await redis.del(queues.retry.toKey(name));
    expect(await retryStates(ids)).toEqual(["unknown", "unknown", "unknown"]);
    expect(await runOnce(world.context)).toMatchObject({ retrying: { examined: 3, repaired: 3 } });
    expect(await retryStates(ids)).toEqual(["waiting", "waiting", "waiting"]);
    expect(await runOnce(world.context)).toMatchObject({ retrying: { repaired: 0 } });
  },
);

test("the watchdog adds retries again that are delayed far beyond the time at which they were due", async () => {
  const { redis, queues } = world.context;
  const ids = await queuedRetries();
  await redis.del(queues.retry.toKey("wait"));
  await redis.zadd(queues.retry.toKey("delayed"), ...ids.flatMap((id) => [(Date.now() + 3_600_000) * 4_096, id]));
  expect(await runOnce(world.context)).toMatchObject({ retrying: { repaired: 3 } });
  expect(await retryStates(ids)).toEqual(["waiting", "waiting", "waiting"]);
});

test("the watchdog adds jobs again of which only a part of the hash is left, and not while they have a lock", async () => {
  const { redis, queues } = world.context;
  const ids = await queuedRetries();
  for (const id of ids) await redis.hdel(queues.retry.toKey(id), "data", "opts", "name");
  await redis.set(`${queues.retry.toKey(ids[0]!)}:lock`, "a worker");
  expect(await runOnce(world.context)).toMatchObject({ retrying: { repaired: 2 } });
  await redis.del(`${queues.retry.toKey(ids[0]!)}:lock`);
  expect(await runOnce(world.context)).toMatchObject({ retrying: { repaired: 1 } });
  const jobs = await Promise.all(ids.map((id) => queues.retry.getJob(id)));
  expect(jobs.map((job) => job?.data.delivery)).toEqual(ids.map((id) => id.slice(0, 36)));
});
