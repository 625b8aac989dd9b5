import type { Redis } from "ioredis";
import type { Enqueue } from "@postrider/shared/queue/enqueue.ts";
import type { Queues } from "@postrider/shared/queue/queues.ts";
import type { Logger } from "@postrider/shared/runtime/telemetry/logger.ts";

/**
 * Makes the release job of a subscription where there is none, after something of it was held. It is asked for with
 * every held delivery, so the subscriptions are collected while a call is under way, and only missing jobs are added.
 *
 * The job may be about to end; it looks again after its end (control-lane.ts), so that whatever was committed as held
 * before is seen by the one or the other.
 */
export function createReleaseStarter(
  queues: Pick<Queues, "control">,
  enqueue: Pick<Enqueue, "release">,
  redis: Redis,
  log: Logger,
): (subscriptionId: string) => void {
  const asked = new Set<string>();
  let isRunning = false;

  async function run(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (asked.size > 0) {
      const ids = [...asked];
      asked.clear();
      await start(ids).catch((error: unknown) =>
        log.debug({ err: error }, "a release could not be started; the watchdog will"),
      );
    }
    isRunning = false;
  }

  async function start(ids: readonly string[]): Promise<void> {
    const keys = ids.map((id) => queues.control.toKey(id));
    // With every batch there is something to hold for a dead subscriber, whose job is there already: that costs one command.
    if ((await redis.exists(keys)) === keys.length) return;
    const existing = await Promise.all(keys.map((key) => redis.exists(key)));
    const missing = ids.filter((_, index) => existing[index] === 0);
    await enqueue.release(missing);
  }

  return (subscriptionId) => {
    asked.add(subscriptionId);
    if (isRunning) return;
    isRunning = true;
    void run();
  };
}
