import type { Context } from "../context.ts";

/**
 * Puts one batch with a priority behind the batches that wait without one. BullMQ alone would never take it while the
 * others fill the fleet. It is a random one, so that the largest flood makes progress too.
 *
 * @returns its id; undefined if nothing had to be done
 */
export async function promoteDeferred({
  redis,
  queues,
}: Pick<Context, "redis" | "queues">): Promise<string | undefined> {
  const { dispatch } = queues;
  const [waiting, id] = await Promise.all([
    redis.llen(dispatch.toKey("wait")),
    redis.zrandmember(dispatch.toKey("prioritized")),
  ]);
  if (waiting === 0 || typeof id !== "string") return undefined;
  const job = await dispatch.getJob(id);
  await job?.changePriority({ priority: 0 });
  return job?.id;
}
