import { afterAll, beforeAll, expect, test } from "vitest";
import { dispatchJob, type DispatchJob } from "@postrider/shared/queue/jobs.ts";
import { familyRange } from "@postrider/shared/core/ids/id-range.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { createFetch } from "../../apps/worker/src/lanes/fetch-jobs.ts";
import { laneOptions, LaneWorker } from "../../apps/worker/src/lanes/lane.ts";

let world: World;
let worker: LaneWorker<DispatchJob>;
beforeAll(async () => {
  world = await createTestWorld();
  worker = new LaneWorker<DispatchJob>("dispatch", null, laneOptions(world.context));
  worker.on("error", () => undefined);
});
afterAll(async () => {
  await worker.close(true);
  await world.close();
});

const add = (count: number, size: number) =>
  world.context.queues.dispatch.addBulk(
    Array.from({ length: count }, () => {
      const id = newId();
      return dispatchJob({ id, size, ...familyRange([id]) });
    }),
  );

test("many small jobs are fetched several at a time, large ones one by one, and none twice", async () => {
  const errors: Error[] = [];
  const fetch = createFetch(worker, (error) => void errors.push(error));
  const fetched: string[] = [];
  const next = async (isSparing = false) => {
    const jobs = await fetch(isSparing);
    fetched.push(...jobs.map(({ job }) => job.id!));
    expect(new Set(jobs.map(({ token }) => token)).size).toBe(jobs.length);
    return jobs.length;
  };
  await add(30, 1);
  expect([await next(), await next(), await next(), await next()]).toEqual([1, 2, 4, 8]);
  expect(await next(true)).toBe(1);
  expect([await next(), await next(), await next()]).toEqual([1, 2, 4]);
  // Seven of the eight are there.
  expect(await next()).toBe(7);
  // The queue was empty, so that a single job costs a single fetch again.
  await add(1, 1);
  expect([await next(), await next()]).toEqual([1, 0]);
  await add(4, 100);
  expect([await next(), await next(), await next(), await next()]).toEqual([1, 1, 1, 1]);
  expect(fetched).toHaveLength(35);
  expect(new Set(fetched).size).toBe(35);
  expect(errors).toEqual([]);
});
